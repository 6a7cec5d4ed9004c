"""The public names of `streamstyle` exist and are documented."""

import doctest
import inspect
import re
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import streamstyle

FIRST_STEPS = ("paint_video", "paint_image", "LiveSession", "parse_style")

NAMES = [name for name in streamstyle.__all__ if name != "__version__"]

MODULES = sorted({"streamstyle"} | {getattr(streamstyle, name).__module__ for name in NAMES})


def test_the_version_is_the_distribution_s() -> None:
    assert streamstyle.__version__ == version("streamstyle")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", streamstyle.__version__)


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_has_a_docstring_of_its_own(name: str) -> None:
    thing = getattr(streamstyle, name)
    doc = inspect.getdoc(thing) or ""
    assert len(doc.splitlines()[0]) > 10, name
    assert not doc.startswith(f"{name}("), f"{name} has only what a dataclass writes by itself"
    public = (
        [m for m in vars(thing).values() if inspect.isfunction(m)] if inspect.isclass(thing) else []
    )
    own = [method for method in public if not method.__name__.startswith("_")]
    undocumented = [m.__name__ for m in own if not m.__doc__ and not _overrides(thing, m.__name__)]
    assert not undocumented, undocumented


def _overrides(kind: type, name: str) -> bool:
    """Return whether a base class also defines, and so documents, the method."""
    return any(name in vars(base) for base in kind.__mro__[1:])


@pytest.mark.parametrize("module", MODULES)
def test_examples_do_what_they_say(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(import_module(module)).failed == 0


def test_what_is_done_first_has_an_example() -> None:
    documented = (streamstyle, *map(partial(getattr, streamstyle), FIRST_STEPS))
    assert all(">>>" in (inspect.getdoc(thing) or "") for thing in documented)


def test_each_public_name_has_a_place_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: streamstyle\.(\w+)$", page, re.MULTILINE)) == sorted(NAMES)


def test_what_is_not_listed_is_not_public() -> None:
    modules = {name for name, value in vars(streamstyle).items() if inspect.ismodule(value)}
    public = {name for name in vars(streamstyle) if not name.startswith("_")} - modules
    assert public - {"version"} == set(NAMES)
