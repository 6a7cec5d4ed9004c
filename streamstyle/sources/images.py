"""Photos and other still images: one file or a folder."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from engines.pictures import FORMATS, NO_PICTURE, open_picture, problem_of
from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame, Still
from streamstyle.sources.base import SourceInfo

WHITES = (1, 255, 65535)
"""Values that may be white in a 32-bit image, the smallest first.

They are white for fractions, for former 8-bit numbers and for former 16-bit numbers.
"""

NAMED = 5
"""Maximum number of files that one note names."""


class StillSource(Closing):
    """One upright frame for each image; see `sources.base.Source`.

    Everything in a folder that is not a readable image is skipped and noted. An unreadable single
    image raises UserError, as does a folder without a readable image.
    """

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        if path.is_dir():
            self.paths, self.notes = stills_in(path)
            self.info = SourceInfo(path.name, len(self.paths), None, None, None)
        elif path.exists():
            self.paths = [path]
            height, width = read_still(path).image.shape[:2]
            self.info = SourceInfo(path.name, 1, width, height, None)
        else:
            raise UserError(f"there is no file or folder {path}")

    def __iter__(self) -> Iterator[Frame]:
        unreadable = 0
        for index, path in enumerate(self.paths):
            try:
                frame = read_still(path, index)
            except UserError as error:
                self.notes.append(str(error))
                unreadable += 1
                continue
            assert frame.still is not None
            self.notes += frame.still.lost
            yield frame
        if unreadable == len(self.paths):
            raise UserError(f"no image in {self.info.name} can be read")

    def close(self) -> None:
        pass


def list_stills(folder: Path) -> list[Path]:
    """Return the paths of the images in a folder in natural order: 2.jpg before 10.jpg."""
    return [path for path in _entries(folder) if path.is_file() and problem_of(path) is None]


def stills_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Return what `list_stills` returns, and notes on everything else in the folder.

    Hidden files are left out without a note. Raises UserError if there is no image.
    """
    stills = []
    left_out: dict[str, list[str]] = {}
    for path in _entries(folder):
        if path.is_dir():
            left_out.setdefault("a folder; give it by itself", []).append(f"{path.name}/")
        elif (problem := problem_of(path) if path.is_file() else NO_PICTURE) is None:
            stills.append(path)
        elif not path.name.startswith("."):
            left_out.setdefault(problem, []).append(path.name)
    notes = [f"left out of {folder}: {_some(names)} ({why})" for why, names in left_out.items()]
    if not stills:
        raise UserError("; ".join([f"no images in {folder}, such as {', '.join(FORMATS)}", *notes]))
    return stills, notes


def _entries(folder: Path) -> list[Path]:
    def natural(path: Path) -> list[str | int]:
        return [int(p) if p.isdecimal() else p.lower() for p in re.split(r"(\d+)", path.name)]

    try:
        return sorted(folder.iterdir(), key=natural)
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {reason(error)}") from error


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def read_still(path: Path, index: int = 0) -> Frame:
    """Read the image at `path` and turn it upright. Raises UserError if it can't be read."""
    lost = []
    try:
        with open_picture(path) as file:
            file.load()
            try:
                picture = ImageOps.exif_transpose(file)
                exif = picture.getexif().tobytes() if picture.getexif() else None
            except Exception:
                for name in ("exif", "Raw profile type exif"):
                    file.info.pop(name, None)
                # Still turn it upright, by the EXIF data that could be read.
                picture, exif = ImageOps.exif_transpose(file), None
                lost.append(f"the EXIF data of {path} is damaged and was left out")
            icc_profile = picture.info.get("icc_profile")
            if icc_profile and icc_profile[16:20] != b"RGB ":
                # It describes inks or grays, which are gone in RGB.
                icc_profile = None
                lost.append(f"the color profile of {path} is not for RGB and was left out")
            image, alpha = _to_rgb(picture)
            if _has_more(file):
                lost.append(f"only the first picture in {path} is painted")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}") from error
    except UnidentifiedImageError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # any type: Pillow does not check for all damage
        raise UserError(f"cannot read {path}: {reason(error)}") from error
    still = Still(path.name, alpha, icc_profile, exif, tuple(lost))
    return Frame(image, index, pts_seconds=Fraction(index), still=still)


def _has_more(file: Image.Image) -> bool:
    """Return whether pictures follow the first: animation frames, or pages as in a TIFF."""
    try:
        return bool(getattr(file, "is_animated", False))
    except Exception:
        return True  # raised by a damaged GIF


def _to_rgb(picture: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return RGB (H, W, 3) and the opacity (H, W), None for an opaque picture."""
    if picture.mode.startswith("I;16"):
        # Pillow would clip 16 bits to white instead of scaling them.
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2), None
    if picture.mode in ("I", "F"):
        grey = _to_bytes(np.asarray(picture))
        return np.repeat(grey[:, :, None], 3, axis=2), None
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB")).copy(), None
    rgba = np.asarray(picture.convert("RGBA"))
    return rgba[:, :, :3].copy(), rgba[:, :, 3].copy()


def _to_bytes(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 32-bit gray values (H, W) to 8 bits.

    The file does not say which value is white, so the smallest of WHITES that holds all values is
    taken. Raises ValueError if none does.
    """
    darkest, brightest = grey.min(), grey.max()
    for white in WHITES:
        if darkest >= 0 and brightest <= white:
            return np.round(grey * (255 / white)).astype(np.uint8)
    raise ValueError(
        f"its values go from {darkest:g} to {brightest:g}, and the value of white is not known; "
        "save it with 8 or 16 bits"
    )
