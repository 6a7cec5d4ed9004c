"""Pictures that styles are read from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamstyle import UserError
from streamstyle.styles import (
    read_picture,
)
from streamstyle.styles.inputs import LONGEST, PICTURE_SIDE
from tests.helpers.frames import spots


def save_as(path: Path, kind: str) -> Path:
    picture = spots(1, (64, 64))
    if kind == "animated":
        path = path.with_suffix(".gif")
        picture.save(path, save_all=True, append_images=[Image.new("RGB", (64, 64))])
    elif kind == "16 bits":
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        path = path.with_suffix(".png")
        Image.fromarray(grey).save(path)
    elif kind == "CMYK":
        path = path.with_suffix(".jpg")
        picture.convert("CMYK").save(path)
    elif kind == "turned":
        path = path.with_suffix(".jpg")
        exif = Image.Exif()
        exif[274] = 6
        spots(1, (64, 32)).save(path, exif=exif)
    else:
        path = path.with_suffix(".png")
        picture.putalpha(0)
        picture.save(path)
    return path


@pytest.mark.parametrize("kind", ["animated", "16 bits", "CMYK", "transparent", "turned"])
def test_every_kind_of_picture_is_read(tmp_path: Path, kind: str) -> None:
    picture = read_picture(save_as(tmp_path / "picture", kind))
    assert picture.dtype == np.uint8
    assert picture.shape[3] == 3
    assert min(picture.shape[1:3]) == PICTURE_SIDE
    if kind == "transparent":
        assert (picture == 255).all()  # only the white page shows
    else:
        assert np.ptp(picture) > 100
    if kind == "turned":
        assert picture.shape[1] == 2 * picture.shape[2]


def test_a_frieze_is_squeezed(tmp_path: Path) -> None:
    spots(1, (4000, 20)).save(tmp_path / "frieze.png")
    assert read_picture(tmp_path / "frieze.png").shape == (1, PICTURE_SIDE, LONGEST, 3)


def test_a_huge_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    spots(1, (80, 80)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match="cannot read"):
        read_picture(tmp_path / "huge.png")
