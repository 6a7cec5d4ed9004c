"""Images are read by what their files hold, alone and in folders."""

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from engines import Engine
from streamstyle import UserError, paint_image
from streamstyle.sources.images import NAMED, StillSource, list_stills, read_still

pillow_heif.register_heif_opener()


def save(path: Path, grey: int = 90, kind: str = "PNG") -> Path:
    Image.new("RGB", (64, 48), (grey, grey, grey)).save(path, kind)
    return path


def test_a_folder_says_what_it_leaves_out(tmp_path: Path, inverter: Engine) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "older").mkdir(parents=True)
    for number in (1, 2, 10):
        save(source / f"p{number}.png", 100 + number)
    for name, kind in (("old.gif", "GIF"), ("a.jfif", "JPEG"), ("b.avif", "AVIF"), ("c", "PNG")):
        save(source / name, 100, kind)
    save(source / "in truth a HEIC.jpg", 100, "HEIF")
    (source / "notes.txt").write_text("not an image")
    (source / "broken.jpg").write_bytes(b"not an image either")
    (source / ".hidden").touch()
    report = paint_image(source, target, engine=inverter)
    assert sorted(path.name for path in target.iterdir()) == [
        "a.jfif", "b.avif", "c.png", "in truth a HEIC.jpg", "old.gif.png", "p1.png", "p10.png",
        "p2.png",
    ]  # fmt: skip
    assert report.notes == (
        f"left out of {source}: broken.jpg, notes.txt (not an image that can be read)",
        f"left out of {source}: older/ (a folder; give it by itself)",
    )
    formats = {".jfif": "JPEG", ".jpg": "JPEG", ".avif": "AVIF", ".png": "PNG"}
    for path in target.iterdir():
        with Image.open(path) as painted:
            assert painted.format == formats[path.suffix]
    for name in ("a.jfif", "b.avif", "c.png", "in truth a HEIC.jpg", "old.gif.png"):
        with Image.open(target / name) as painted:
            assert np.abs(np.asarray(painted).astype(int) - 155).max() <= 2


def test_many_files_are_left_out_in_one_note(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    for number in range(NAMED + 3):
        (tmp_path / f"{number}.txt").touch()
    with StillSource(tmp_path) as source:
        (note,) = source.notes
    assert "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more (not an image" in note


def test_names_are_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "5²3.png", "²1.png"):  # superscripts are no numbers
        save(tmp_path / name)
    names = [path.name for path in list_stills(tmp_path)]
    assert names == ["2.png", "5²3.png", "10.png", "²1.png"]


@pytest.mark.parametrize("size", [0, 60])
def test_a_folder_of_nothing_that_can_be_read_is_refused(
    tmp_path: Path, inverter: Engine, size: int
) -> None:
    whole = save(tmp_path / "whole.png").read_bytes()
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(whole[:size])
    words = "no image in in can be read" if size else r"no images in .*; left out of .*a.png, b.png"
    with pytest.raises(UserError, match=words) as caught:
        paint_image(tmp_path / "in", tmp_path / "out", engine=inverter)
    notes = getattr(caught.value, "__notes__", [])
    assert len(notes) == (2 if size else 0)


def test_a_photo_of_a_phone_is_upright_and_keeps_its_exif(tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x013B] = "Ann Other"  # the artist
    picture = Image.fromarray(pixels)
    picture.info["exif"] = exif.tobytes()  # so that the turn is stored as phones store it, too
    picture.save(tmp_path / "a.heic", quality=90)
    frame = read_still(tmp_path / "a.heic")
    assert np.abs(frame.image.astype(int) - np.rot90(pixels, -1)).mean() < 4
    assert frame.still is not None
    assert frame.still.exif is not None
    kept = Image.Exif()
    kept.load(frame.still.exif)
    assert kept[0x013B] == "Ann Other"
    assert kept.get(0x0112, 1) == 1
