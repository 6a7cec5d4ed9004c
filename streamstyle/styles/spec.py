"""Describe which style to paint in: text is parsed here once, and passed on as data."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines import DEFAULT_LEVELS
from engines.pictures import is_picture, suffixes
from streamstyle.errors import UserError, check_share
from streamstyle.sources.images import stills_in
from streamstyle.styles.catalog import DEFAULT_MODEL, DEFAULT_STYLE, PICTURE_MODEL, shipped_models


@dataclass(frozen=True)
class StylePart:
    """One style of a model: a style that it knows by name, or the style of a picture."""

    model: str
    """Name of a model that ships, or path of a .onnx file."""
    name: str = ""
    """Name of one of the model's styles; empty for its first style, or with a picture."""
    picture: str = ""
    """Path of the picture; empty for a named style."""
    weight: float = 1.0
    """Weight in a mix, relative to the weights of the other parts; above 0."""

    def __str__(self) -> str:
        if self.picture:
            return self.picture if self.model == PICTURE_MODEL else f"{self.model}:{self.picture}"
        if not self.name:
            return self.model
        return self.name if self.model == DEFAULT_MODEL else f"{self.model}:{self.name}"


@dataclass(frozen=True)
class StyleSpec:
    """A style, or a mix of several styles of one model.

    Raises UserError if the stroke, alpha or a weight is out of range.
    """

    parts: tuple[StylePart, ...]
    stroke: float = 0.5
    """Size of the strokes, from 0 (fine) to 1 (large)."""
    levels: tuple[str, ...] = DEFAULT_LEVELS
    """Features made like the picture's, relu1_1 to relu5_1; only for models of the family wct.

    Deeper features change larger shapes. Each level costs a pass.
    """
    alpha: float = 1.0
    """Strength of the picture's features, from 0 (none) to 1 (full); only for the family wct."""

    def __post_init__(self) -> None:
        check_share("stroke", self.stroke)
        if not 0 <= self.alpha <= 1:
            raise UserError(f"alpha is from 0 to 1, got {self.alpha}")
        for part in self.parts:
            if not 0 < part.weight < math.inf:
                raise UserError(f"a weight is a number above 0, got {part.weight:g} for {part}")

    @property
    def pictures(self) -> list[str]:
        """The paths of the pictures among the parts."""
        return [part.picture for part in self.parts if part.picture]

    def with_parts(self, *parts: StylePart) -> "StyleSpec":
        """Return a copy of this style with other parts."""
        return replace(self, parts=parts)

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        return "+".join(f"{part}={part.weight:g}" for part in self.parts)


def parse_style(text: str | Path) -> StyleSpec:
    """Parse the text that names a style.

    The text is NAME for a style of the default model, MODEL:NAME for another model that ships, or
    FILE.onnx:NAME for a model file of your own; MODEL or FILE.onnx alone means its first style. For
    the style of a picture it is PICTURE, MODEL:PICTURE or FILE.onnx:PICTURE. A+B mixes several
    styles of one model, and A=2+B gives them weights.

    Raises UserError if a weight is not above 0. Whether the style exists is only checked when it is
    read.

    Examples:
        >>> parse_style("great-wave").parts
        (StylePart(model='medium', name='great-wave', picture='', weight=1.0),)
        >>> {part.picture: part.weight for part in parse_style("a.jpg=2+b.jpg").parts}
        {'a.jpg': 2.0, 'b.jpg': 1.0}
    """
    text = str(text)
    if _is_file(text) or _is_file(_part(text).picture or _part(text).name):
        return StyleSpec((_part(text),))  # even if its name contains + or =
    weights: dict[str, float] = {}
    for each in text.split("+"):
        name, equals, weight = each.rpartition("=")
        try:
            weights[name if equals else each] = float(weight) if equals else 1.0
        except ValueError:  # the = is part of the name
            weights[each] = 1.0
    return StyleSpec(tuple(replace(_part(name), weight=w) for name, w in weights.items()))


def as_spec(style: str | Path | StyleSpec) -> StyleSpec:
    """Return `style` as a `StyleSpec`; text and paths are parsed."""
    return style if isinstance(style, StyleSpec) else parse_style(style)


def asked_for(
    style: str | None, pictures: Sequence[str], default: str = DEFAULT_STYLE
) -> StyleSpec:
    """Return the style that --style and --style-image ask for.

    `pictures` are texts of the form PICTURE or PICTURE=WEIGHT; a folder stands for its first
    picture. With pictures, `style` names the model that paints. Raises UserError if a folder has no
    picture. Whether a file is one is only checked when it is read.
    """
    if not pictures:
        return parse_style(style or default)
    return StyleSpec(tuple(_picture_part(picture, style or PICTURE_MODEL) for picture in pictures))


def names_picture(text: str) -> bool:
    """Return whether a text names a picture: a file that holds one, or a name like a picture's.

    Text that could be the name of a style is none, even if there is a file of that name.
    """
    path = Path(text)
    if path.suffix.lower() in suffixes():
        return True
    return text != path.stem and _is_file(text) and is_picture(path)


def _picture_part(text: str, model: str) -> StylePart:
    path, equals, weight = text.rpartition("=")
    if not equals or _is_file(text) or Path(text).is_dir():
        path, weight = text, "1"
    try:
        part = StylePart(model, picture=path, weight=float(weight))
    except ValueError:  # the = is part of the name
        part = StylePart(model, picture=text)
    if Path(part.picture).is_dir():
        stills, _left_out = stills_in(Path(part.picture))
        return replace(part, picture=str(stills[0]))
    return part


def _part(text: str) -> StylePart:
    """Parse one style without a weight."""
    model, name = _split(text)
    return StylePart(model, picture=name) if names_picture(name) else StylePart(model, name)


def _split(text: str) -> tuple[str, str]:
    """Split a text into the model, and the name or picture after it, which may be empty."""
    if match := re.fullmatch(r"(.+?\.onnx)(?::(.+))?", text):
        return match[1], match[2] or ""
    if text in shipped_models():
        return text, ""
    model, _, name = text.rpartition(":")
    if names_picture(text) and model not in shipped_models():  # C: is a drive
        return PICTURE_MODEL, text
    return model or DEFAULT_MODEL, name


def _is_file(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_file()
    except OSError:  # a mix of many styles is longer than a file name can be
        return False
