"""What a file holds decides whether it is a picture, and not its name."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from engines.pictures import (
    FORMATS,
    NO_PICTURE,
    is_picture,
    open_picture,
    problem_of,
    suffixes,
)
from tests.helpers.clips import make_clip
from tests.helpers.models import write_two_styles

NOT_WRITTEN = {"PSD"}  # by Pillow

pillow_heif.register_heif_opener()


@pytest.mark.parametrize("kind", [*sorted(set(FORMATS) - NOT_WRITTEN), "HEIF"])
def test_every_format_is_read_whatever_its_name(tmp_path: Path, kind: str) -> None:
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    for name in ("noname", "video.mp4", "another.png"):
        with (tmp_path / name).open("wb") as file:
            grey.save(file, kind)
        assert problem_of(tmp_path / name) is None
        with open_picture(tmp_path / name) as picture:
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - 90).max() <= 2


def test_what_is_no_picture(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4")
    write_two_styles(tmp_path / "two.onnx")
    (tmp_path / "clip.jpg").write_bytes((tmp_path / "clip.mp4").read_bytes())
    (tmp_path / "text.png").write_text("a list of pictures")
    (tmp_path / "empty.png").touch()
    for path in tmp_path.iterdir():
        assert problem_of(path) == NO_PICTURE
        assert not is_picture(path)
        with pytest.raises(UnidentifiedImageError, match=f"{path.name} is not an image"):
            open_picture(path)


def test_a_damaged_picture_is_one(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.png")
    (tmp_path / "half").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    assert is_picture(tmp_path / "half")


def raw_of_canon(path: Path) -> None:
    """Write one gray pixel as a TIFF with the mark of a CR2 file before its tags."""
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 278: 1, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI2sHI", b"II", 42, 16, b"CR", 2, 0)
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))


def test_raw_photos_are_no_thumbnails(tmp_path: Path) -> None:
    for name, tag, value in (("nef", 254, 1), ("dng", 50706, b"\1\4\0\0"), ("tif", 254, 0)):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[tag] = value
        Image.new("RGB", (64, 64)).save(tmp_path / f"a.{name}", "TIFF", tiffinfo=tags)
    raw_of_canon(tmp_path / "a.cr2")
    assert problem_of(tmp_path / "a.tif") is None
    for name in ("nef", "dng", "cr2"):
        assert "raw photo" in str(problem_of(tmp_path / f"a.{name}"))
        assert is_picture(tmp_path / f"a.{name}")


def test_the_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.jpg", "HEIF")
    script = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from pathlib import Path\n"
        "from engines.pictures import is_picture, open_picture\n"
        "assert is_picture(Path('photo.jpg'))\n"
        "open_picture(Path('photo.jpg'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "photo.jpg is a HEIC image, which needs pillow-heif" in done.stderr


def test_usual_names() -> None:
    assert {".jpg", ".jfif", ".png", ".webp", ".avif", ".heic", ".tif"} <= suffixes()
    assert not {".mp4", ".mpg", ".onnx", ".eps"} & suffixes()
