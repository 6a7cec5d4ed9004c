"""Write still images: one file, or a folder with one file for each frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.sinks.atomic_file import appear, check_not_input, check_target, partial_name

WRITTEN_AS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Pillow's format name by file suffix."""

_TRANSPARENT = ("AVIF", "PNG", "TIFF", "WEBP")
"""Formats written with transparency."""

_OPTIONS: dict[str, dict[str, Any]] = {
    # Strokes are small and colorful: sample color fully and compress little.
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "PNG": {"compress_level": 4},
}


class ImageSink(Closing):
    """Writes images, each complete when it appears under its name; see `sinks.base.Sink`."""

    def __init__(
        self, target: Path, folder: bool, overwrite: bool = False, inputs: Sequence[str] = ()
    ) -> None:
        """Check the target, and make it if it is a folder.

        With `folder`, `target` is a folder for all frames; otherwise it is the file for the only
        frame. None of the `inputs` is replaced, whatever `overwrite` says. Raises UserError if
        nothing may or can be written there.
        """
        self.notes: list[str] = []
        self._target = target
        self._folder = folder
        self._overwrite = overwrite
        self._inputs = inputs
        self._written: set[str] = set()
        if folder:
            if target.exists() and not target.is_dir():
                raise UserError(f"{target} is a file; give a folder for the painted images")
            try:
                target.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"cannot make the folder {target}: {reason(error)}") from error
        else:
            check_suffix(target)
            check_target(target, overwrite)

    def write(self, frame: Frame) -> None:
        target = self._target
        if self._folder:
            numbered = f"{frame.index + 1:06d}.png"
            target /= still_name(frame.still.name) if frame.still is not None else numbered
            if target.name in self._written:
                name = "" if frame.still is None else frame.still.name
                self.notes.append(f"{name} was left out: {target} already holds another image")
                return
            self._written.add(target.name)
            check_not_input(target, *self._inputs)
            check_target(target, self._overwrite)
        kind = WRITTEN_AS[target.suffix.lower()]
        picture, options = _picture(frame, kind)
        write_image(picture, target, self._overwrite, **options)
        alpha = None if frame.still is None else frame.still.alpha
        if alpha is not None and alpha.min() < 255 and kind not in _TRANSPARENT:
            self.notes.append(f"{target} is opaque: {kind} holds no transparency")

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


def check_suffix(target: Path) -> None:
    """Raise UserError unless the suffix of `target` is in WRITTEN_AS."""
    if target.suffix.lower() not in WRITTEN_AS:
        raise UserError(
            f"cannot write {target.name}: the name of an image ends in {', '.join(WRITTEN_AS)}"
        )


def still_name(name: str) -> str:
    """Return the painted image's name in a folder: .png is added if its type can't be written."""
    return name if Path(name).suffix.lower() in WRITTEN_AS else f"{name}.png"


def write_image(picture: Image.Image, target: Path, overwrite: bool, **options: Any) -> None:
    """Write a picture with Pillow's `options`; the file is complete when it appears.

    Raises UserError if the file can't be written or its name is taken meanwhile.
    """
    try:
        partial = partial_name(target)
        try:
            picture.save(partial, WRITTEN_AS[target.suffix.lower()], **options)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {target}: {reason(error)}") from error
    appear(partial, target, overwrite)


def _picture(frame: Frame, kind: str) -> tuple[Image.Image, dict[str, Any]]:
    """Return a frame's picture for the format `kind` of WRITTEN_AS, and Pillow's options."""
    picture = Image.fromarray(frame.image)
    options = dict(_OPTIONS.get(kind, {}))
    if frame.still is not None:
        if frame.still.alpha is not None and kind in _TRANSPARENT:
            alpha = Image.fromarray(frame.still.alpha)
            if alpha.size != picture.size:
                alpha = alpha.resize(picture.size)
            picture.putalpha(alpha)
        if kind != "BMP":
            options["icc_profile"] = frame.still.icc_profile
            if frame.still.exif is not None:
                options["exif"] = frame.still.exif
    return picture, options
