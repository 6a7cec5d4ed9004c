"""Import rules: which top-level package may import which, and what stays optional."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.models import write_segmentation

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "engines": {"streamstyle", "cv2", "av", "export", "torch", "torchvision", "benchmarks"},
    "streamstyle": {"export", "torch", "torchvision", "benchmarks"},
    "export": {"streamstyle", "benchmarks"},
    "benchmarks": set(),
}

OPTIONAL = {
    "engines.onnxruntime_.engine",
    "engines.onnxruntime_.buffers",
    "engines.tensorrt_.engine",
    "engines.tensorrt_.plan",
}
"""Modules that can only be imported where an extra is installed."""


def imports_of(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_keep_to_their_direction(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert not imports_of(path) & (FORBIDDEN[room] | {"tests"}), path


def test_runtime_never_loads_torch() -> None:
    """Import every runtime module in one fresh interpreter."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ("engines", "streamstyle")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.name not in ("__main__.py", "__init__.py")
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {sorted(set(modules) - OPTIONAL)!r}:\n"
        "    importlib.import_module(name)\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'export' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_painting_never_loads_torch(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from streamstyle.cli.main import main\n"
        "arguments = 'video pattern:testsrc out.mp4 --duration 0.2 --scale 0.1'\n"
        "assert main(arguments.split()) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, capture_output=True)


MISSING = """
import sys

class Without:
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED: return None
        return self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""
"""Code that makes the packages in BLOCKED look as if they were not installed."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("openvino", "OpenVINO is not installed"),
        ("onnxruntime", "registered but its files are gone"),
        ("tensorrt", "tensorrt on cuda: not used"),
    ],
)
def test_each_runtime_may_be_missing(missing: str, told: str, tmp_path: Path) -> None:
    """Without one runtime, everything imports, the doctor names it, and another one paints.

    Painting includes the style of a picture and a segmentation mask.
    """
    write_segmentation(tmp_path / "net.onnx", channels_last=False, classes=1, fixed=True)
    Image.new("RGB", (64, 48), (200, 90, 60)).save(tmp_path / "photo.png")
    script = (
        f"BLOCKED = {{{missing!r}}}\n{MISSING}"
        "import engines, streamstyle\n"
        "from streamstyle.cli.main import main\n"
        "assert main(['doctor']) == 0\n"
        "paint = 'image photo.png out.png --style-image photo.png --mask net.onnx'.split()\n"
        "assert main(paint) == 0\n"
        f"assert {missing!r} not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert (tmp_path / "out.png").exists()


MOST_ROOMS, MOST_ARROWS = 20, 80
"""Most files and folders directly in streamstyle/, and most imports between them.

With more, it is hard to find one's way around.
"""


def test_the_rooms_of_the_program_are_few_and_no_import_runs_in_a_circle() -> None:
    program = ROOT / "streamstyle"
    arrows: dict[str, set[str]] = {}
    for path in program.rglob("*.py"):
        room = path.relative_to(program).parts[0].removesuffix(".py")
        if room == "__init__":  # the public API imports from all of them
            continue
        arrows.setdefault(room, set()).update(_rooms_of(path) - {room})
    assert len(arrows) <= MOST_ROOMS
    assert sum(map(len, arrows.values())) <= MOST_ARROWS
    TopologicalSorter(arrows).prepare()  # raises CycleError where there is one


def _rooms_of(path: Path) -> set[str]:
    """Return the files and folders of streamstyle/ that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "streamstyle":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package, _, rest = node.module.partition(".")
            found |= {rest.partition(".")[0]} if package == "streamstyle" else set()
    return found
