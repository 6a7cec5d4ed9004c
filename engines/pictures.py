"""Pictures in files: what a file holds decides whether it is one, whatever its name says."""

from functools import cache
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

FORMATS = (
    "AVIF", "BMP", "DDS", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD",
    "QOI", "SGI", "TGA", "TIFF", "WEBP",
)  # fmt: skip
"""Pillow's names of the formats that are read, besides HEIF.

Other formats need another program, or have no signature, so that any file could be taken for them.
"""

NO_PICTURE = "not an image that can be read"

_NO_HEIF = "a HEIC image, which needs pillow-heif; add it with: pip install pillow-heif"
_RAW = "a camera's raw photo, which holds only a preview; develop it to JPEG or TIFF first"

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_CANON_RAW = b"CR"  # after the head of a TIFF

# Tags of TIFF
_SUBFILE_TYPE = 254  # bit 0 marks a preview of another image in the file
_DNG_VERSION = 50706


@cache
def _formats() -> tuple[str, ...]:
    """Return FORMATS, and HEIF where pillow-heif is installed."""
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


@cache
def suffixes() -> frozenset[str]:
    """Return what the names of pictures usually end in, such as .jpg, in lower case."""
    known, formats = Image.registered_extensions(), _formats()
    return frozenset(suffix for suffix, name in known.items() if name in formats)


def open_picture(path: Path) -> Image.Image:
    """Open the picture in a file, without reading its pixels yet.

    Raises UnidentifiedImageError, whose text says what the file holds instead, or any error of
    Pillow or the system.
    """
    opened = _opened(path)
    if isinstance(opened, str):
        raise UnidentifiedImageError(f"{path} is {opened}")
    return opened


def problem_of(path: Path) -> str | None:
    """Return what a file is instead of a readable picture, such as NO_PICTURE; None if it is one.

    Only its head is read: its pixels may be damaged.
    """
    try:
        opened = _opened(path)
    except Exception:  # any type: Pillow does not check for all damage
        return None  # reading it says what is wrong
    if isinstance(opened, str):
        return opened
    opened.close()
    return None


def is_picture(path: Path) -> bool:
    """Return whether a file holds a picture, even one that can't be read here."""
    return problem_of(path) != NO_PICTURE


def _opened(path: Path) -> Image.Image | str:
    """Return the picture in a file, or what the file is instead."""
    with path.open("rb") as file:
        head = file.read(12)
    try:
        picture = Image.open(path, formats=_formats())
    except UnidentifiedImageError:
        is_heif = head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS
        return _NO_HEIF if is_heif and "HEIF" not in _formats() else NO_PICTURE
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tags = picture.tag_v2
        is_preview = bool(tags.get(_SUBFILE_TYPE, 0) & 1) or _DNG_VERSION in tags
        if is_preview or head[8:10] == _CANON_RAW:
            picture.close()
            return _RAW
    return picture
