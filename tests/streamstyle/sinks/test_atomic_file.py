"""Output files appear when they are complete, also where a symbolic link leads."""

from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from engines import Engine
from streamstyle import Clip, ImageSettings, UserError, VideoSettings, paint_image, paint_video

SHORT = Clip(duration_seconds=Fraction(1, 5))


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """A link, in one folder, to a name without a suffix in another."""
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    path = tmp_path / "here" / "out.mp4"
    path.symlink_to(Path("..") / "there" / "real")
    return path


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_stays_and_is_followed(link: Path, inverter: Engine, dangling: bool) -> None:
    real = link.parents[1] / "there" / "real"
    if not dangling:
        real.write_bytes(b"old")
    settings = VideoSettings(clip=SHORT, overwrite=not dangling)
    paint_video("pattern:testsrc", link, engine=inverter, settings=settings)
    assert link.is_symlink()
    assert real.read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in link.parent.iterdir()] == ["out.mp4"]
    assert [path.name for path in real.parent.iterdir()] == ["real"]


def test_links_in_a_folder_of_images_stay(tmp_path: Path, inverter: Engine) -> None:
    (tmp_path / "out").mkdir()
    for name in ("in.png", "real.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    (tmp_path / "out" / "in.png").symlink_to(tmp_path / "real.png")
    settings = ImageSettings(overwrite=True)
    paint_image(tmp_path / "in.png", tmp_path / "out", engine=inverter, settings=settings)
    assert (tmp_path / "out" / "in.png").is_symlink()
    with Image.open(tmp_path / "real.png") as painted:
        assert painted.getpixel((9, 9)) == (255, 255, 255)


def test_where_a_link_leads_is_replaced_only_if_asked_for(link: Path, inverter: Engine) -> None:
    real = link.parents[1] / "there" / "real"
    real.write_bytes(b"precious")
    with pytest.raises(UserError, match=r"out.mp4 exists already; add --overwrite"):
        paint_video("pattern:testsrc", link, engine=inverter, settings=VideoSettings(clip=SHORT))
    assert real.read_bytes() == b"precious"


def test_a_link_into_a_folder_that_is_gone(link: Path, inverter: Engine) -> None:
    (link.parents[1] / "there").rmdir()
    with pytest.raises(UserError, match="there does not exist; make it first"):
        paint_video("pattern:testsrc", link, engine=inverter)


def test_a_link_to_the_input_is_refused(tmp_path: Path, inverter: Engine) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "in.png")
    (tmp_path / "out.png").symlink_to("in.png")
    settings = ImageSettings(overwrite=True)
    with pytest.raises(UserError, match="is the input itself"):
        paint_image(tmp_path / "in.png", tmp_path / "out.png", engine=inverter, settings=settings)
