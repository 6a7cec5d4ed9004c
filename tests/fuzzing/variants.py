"""Run a command on a damaged file, and see that it fails cleanly or works."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from engines import read_card
from streamstyle.cli.main import main
from tests.fuzzing.mutations import mutated
from tests.fuzzing.seeds import Material, Seed

SECONDS = 20.0
"""The longest that a command may take that reads a file."""
TRAINING_SECONDS = 120.0
"""The same for one that trains and exports."""
MEMORY_MIB = 2048
_CEILING_MIB = 16384
"""Maximum address space, so that a runaway allocation fails instead of stopping the machine."""


@dataclass(frozen=True)
class Variant:
    """One damaged file, and the command that is to read it."""

    number: int
    seed: Seed
    other: Path
    """A file to splice parts of."""
    material: Material
    random_seed: int

    def __str__(self) -> str:
        return f"{self.number} {self.seed.name}"

    def data(self) -> bytes:
        whole = self.seed.path.read_bytes()
        if self.number < 0:
            return whole
        rng = np.random.default_rng([self.random_seed, self.number])
        return mutated(whole, self.other.read_bytes(), rng)


def variants(seeds: Sequence[Seed], material: Material, count: int, seed: int) -> Iterator[Variant]:
    """Yield every seed as it is, with negative numbers, then `count` damaged ones."""
    for number, original in enumerate(seeds, 1):
        yield Variant(-number, original, original.path, material, seed)
    rng = np.random.default_rng(seed)
    for number in range(count):
        one, other = (seeds[index] for index in rng.integers(0, len(seeds), 2))
        yield Variant(number, one, other.path, material, seed)


def limit(variant: Variant) -> float:
    """Return the longest that the command may take, in seconds."""
    return TRAINING_SECONDS if variant.seed.command[0] == "export" else SECONDS


def run(variant: Variant) -> str:
    """Return what is wrong; empty if nothing is."""
    resource.setrlimit(resource.RLIMIT_AS, (_CEILING_MIB << 20, _CEILING_MIB << 20))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        damaged = Path(folder, f"in{variant.seed.path.suffix}")
        damaged.write_bytes(variant.data())
        target = Path(folder, f"out{variant.seed.output}")
        known = {
            "INPUT": damaged, "OUTPUT": target, "PHOTO": variant.material.photo,
            "CLIP": variant.material.clip, "MODEL": variant.material.model,
        }  # fmt: skip
        words = [str(known.get(word, word)) for word in variant.seed.command]
        _forget_peak_memory()
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            status = _run(words)
        return "; ".join(_faults(status, said.getvalue(), target, damaged))


def _run(words: Sequence[str]) -> int | str | None:
    try:
        if words[0] == "export":
            from export.cli import main as export_main

            return export_main(words[1:])
        return main(words)
    except SystemExit as end:
        return end.code


def _faults(status: int | str | None, said: str, target: Path, damaged: Path) -> Iterator[str]:
    if status not in (0, 2):
        yield f"exit status {status}: {said[-200:]}"
    if "Traceback" in said:
        yield said[-300:]
    if status == 2 and not said.strip():
        yield "fails without a word"
    if status == 2 and target.exists():
        yield "failed, and there is a file"
    if status == 0:
        try:
            _read_whole(target)
        except Exception as error:
            yield f"an incomplete file: {error}"
    left = sorted(p.name for p in damaged.parent.iterdir() if p not in (damaged, target))
    if status == 2 and any("partial" not in name and not name.endswith(".run") for name in left):
        yield f"left behind: {left}"
    peak = _peak_memory_mib()
    if peak > MEMORY_MIB:
        yield f"{peak:.0f} MiB of memory"


def _read_whole(path: Path) -> None:
    if path.suffix == ".onnx":
        read_card(path)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    else:
        with av.open(path) as file:
            if sum(1 for _ in file.decode(video=0)) == 0:
                raise ValueError("no picture")


def _forget_peak_memory() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_mib() -> float:
    if sys.platform != "linux":
        return 0.0
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
