"""What a module may import: the three rooms and their one direction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "engines": {"streamstyle", "cv2", "av", "export", "torch", "torchvision", "benchmarks"},
    "streamstyle": {"export", "torch", "torchvision", "benchmarks"},
    "export": {"streamstyle", "benchmarks"},
    "benchmarks": set(),
}

OPTIONAL = {
    "engines.onnxruntime_backend",
    "engines.onnxruntime_buffers",
    "engines.tensorrt_backend",
    "engines.tensorrt_plan",
}
"""Modules that can only be imported where an extra is installed."""


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere."""
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
    """Every runtime module in one fresh interpreter."""
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
        "from streamstyle.cli import main\n"
        "arguments = 'video pattern:testsrc out.mp4 --duration 0.2 --scale 0.1'\n"
        "assert main(arguments.split()) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, capture_output=True)
