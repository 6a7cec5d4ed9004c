"""A cache of TensorRT's plans and of the timings that TensorRT chose them by.

A plan is what TensorRT builds from a model, in minutes. The cache is a set of files in the user's
cache folder, which any number of processes may read and write.
"""

import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path.home() / ".cache" / "streamstyle" / "tensorrt"
"""Folder of the cache; onnxruntime's TensorRT provider keeps its files in it, too."""

Bounds = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""Least, best and largest shape of each input."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a plan depends on."""

    graph_sha256: str
    """SHA-256 of the ONNX model for TensorRT, which differs by part and precision."""
    bounds: Bounds
    is_lean: bool
    """Whether TensorRT's lean runtime can run it."""
    tensorrt: str
    """Version of TensorRT."""
    gpu: str
    """Name and compute capability of the GPU."""
    system: str = sys.platform

    @property
    def plan_name(self) -> str:
        return f"{_digest(asdict(self))}.plan"

    @property
    def timings_name(self) -> str:
        return f"{_digest([self.tensorrt, self.gpu, self.system])}.timings"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read(name: str) -> bytes | None:
    """Return the data kept under `name`, or None if there is none."""
    try:
        return (FOLDER / name).read_bytes()
    except FileNotFoundError:
        return None


def keep(name: str, data: bytes) -> None:
    """Keep `data` under `name`, written in one step; of two processes, the later one wins."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=FOLDER, suffix=".part", delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(data)
            file.close()
            partial.replace(FOLDER / name)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def forget_all() -> int:
    """Delete the folder, and return how many bytes it held."""
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    with contextlib.suppress(FileNotFoundError):  # nothing was kept
        shutil.rmtree(FOLDER)
    return size
