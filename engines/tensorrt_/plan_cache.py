"""Plans, as TensorRT calls what it makes of a model in minutes, and the timings that it chose by:
files in the user's cache folder, which any number of processes may read and write.
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
"""What onnxruntime's TensorRT keeps is in it, too."""

Bounds = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""The least, best and largest shape of each input."""


@dataclass(frozen=True)
class Recipe:
    """All that a plan depends on."""

    graph_sha256: str
    """SHA-256 of the ONNX model that TensorRT is given: it has the part and the precision in it."""
    bounds: Bounds
    is_lean: bool
    """Whether TensorRT's lean runtime can run it."""
    tensorrt: str
    """Its version."""
    gpu: str
    """Its name and compute capability."""
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
    """What was kept under a name, if anything."""
    try:
        return (FOLDER / name).read_bytes()
    except FileNotFoundError:
        return None


def keep(name: str, data: bytes) -> None:
    """Put the whole of `data` there in one step: of two processes that do, the later one stays."""
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
    """Delete the folder; returns how many bytes that were."""
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    with contextlib.suppress(FileNotFoundError):  # nothing was kept
        shutil.rmtree(FOLDER)
    return size
