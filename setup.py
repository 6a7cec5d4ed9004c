"""Builds wheels in which `engines` and `export` are private packages of `streamstyle`.

Both names are common. Installed beside `streamstyle`, they would overwrite another distribution's
packages, and a folder of that name where a user starts Python would hide ours. The rest of what a
build needs is in setup.cfg.
"""

import ast
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HOME = "streamstyle"
MOVED = {"engines": f"{HOME}._engines", "export": f"{HOME}._export"}
IMPORT = re.compile(rf"^(\s*from\s+)({'|'.join(MOVED)})(?=[.\s])", re.MULTILINE)


class BuildPackages(build_py):
    """Copies the packages; for a wheel, moves those that are private there."""

    def run(self) -> None:
        """Build, and leave an editable installation as the repository is."""
        super().run()
        if self.editable_mode:
            return
        built = Path(self.build_lib)
        for old, new in MOVED.items():
            target = built.joinpath(*new.split("."))
            shutil.rmtree(target, ignore_errors=True)
            (built / old).rename(target)
        for module in (built / HOME).rglob("*.py"):
            source = IMPORT.sub(lambda found: found[1] + MOVED[found[2]], module.read_text("utf-8"))
            _check(module, source)
            module.write_text(source, "utf-8")


class BuildWheel(bdist_wheel):
    """Names in the metadata what was moved by its new name."""

    def write_wheelfile(self, wheelfile_base: str, *arguments: str) -> None:
        """Write the metadata of the wheel into the folder `wheelfile_base`."""
        super().write_wheelfile(wheelfile_base, *arguments)
        # It calls this before it sets `editable_mode`.
        if "editable_wheel" in self.distribution.commands:
            return
        metadata = Path(wheelfile_base)
        (metadata / "top_level.txt").write_text(HOME + "\n")
        scripts = metadata / "entry_points.txt"
        text = re.sub(
            rf"= ({'|'.join(MOVED)})\.", lambda found: f"= {MOVED[found[1]]}.", scripts.read_text()
        )
        scripts.write_text(text)


def _check(module: Path, source: str) -> None:
    """Raise ImportError if `source` imports a moved package in a way that is not rewritten."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        if any(name.split(".")[0] in MOVED for name in names):
            raise ImportError(f"write `from PACKAGE import ...` in line {node.lineno} of {module}")


setup(cmdclass={"build_py": BuildPackages, "bdist_wheel": BuildWheel})
