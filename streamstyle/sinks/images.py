"""Still images: one file, or one for each frame in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.sinks.atomic_file import appear, check_not_input, check_target, partial_name

WRITTEN_AS = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Pillow's name of the format by suffix."""

_TRANSPARENT = ("PNG", "TIFF", "WEBP")
"""Formats that are written with transparency."""

_OPTIONS: dict[str, dict[str, Any]] = {
    # Strokes are small and colorful: full color sampling, and little compression.
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "PNG": {"compress_level": 4},
}


class ImageSink(Closing):
    """See `sinks.base.Sink`. Each image is complete when it appears under its name."""

    def __init__(
        self, target: Path, folder: bool, overwrite: bool = False, inputs: Sequence[str] = ()
    ) -> None:
        """`target` is a folder, made if need be, or else the file for the only frame. None of the
        `inputs` is replaced, whatever `overwrite` says.
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
                self.notes.append(f"{name} is left out, as another image is in {target} now")
                return
            self._written.add(target.name)
            check_not_input(target, *self._inputs)
            check_target(target, self._overwrite)
        kind = WRITTEN_AS[target.suffix.lower()]
        picture, options = _picture(frame, kind)
        write_image(picture, target, self._overwrite, **options)
        alpha = None if frame.still is None else frame.still.alpha
        if alpha is not None and alpha.min() < 255 and kind not in _TRANSPARENT:
            self.notes.append(f"{target} is opaque, as {kind} holds no transparency")

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


def check_suffix(target: Path) -> None:
    if target.suffix.lower() not in WRITTEN_AS:
        raise UserError(
            f"cannot write {target.name}: the name of an image ends in {', '.join(WRITTEN_AS)}"
        )


def still_name(name: str) -> str:
    """The painted image's name in a folder: .png is put behind a kind that can't be written."""
    return name if Path(name).suffix.lower() in WRITTEN_AS else f"{name}.png"


def write_image(picture: Image.Image, target: Path, overwrite: bool, **options: Any) -> None:
    """Write a picture, by Pillow's `options`; it is complete when it appears under its name."""
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
    """What is written of a frame in one of the kinds of WRITTEN_AS, and Pillow's options."""
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
