"""Which style to paint in: text is taken apart here, once, and travels as data from then on."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines import DEFAULT_LEVELS
from streamstyle.errors import UserError, check_share
from streamstyle.sources.images import SUFFIXES, list_stills
from streamstyle.styles.catalog import DEFAULT_MODEL, DEFAULT_STYLE, PICTURE_MODEL, shipped_models


@dataclass(frozen=True)
class StylePart:
    """One style of a model: one that it knows by name, or that of a picture."""

    model: str
    """The name of a model that ships, or the path of a .onnx file."""
    name: str = ""
    """The name of one of the model's styles; empty for its first one, or with a picture."""
    picture: str = ""
    """The path of the picture; empty for a style with a name."""
    weight: float = 1.0
    """Beside the other parts' weights."""

    def __str__(self) -> str:
        if self.picture:
            return self.picture if self.model == PICTURE_MODEL else f"{self.model}:{self.picture}"
        if not self.name:
            return self.model
        return self.name if self.model == DEFAULT_MODEL else f"{self.model}:{self.name}"


@dataclass(frozen=True)
class StyleSpec:
    """A style, or a mix of several of one model."""

    parts: tuple[StylePart, ...]
    stroke: float = 0.5
    """Size of the strokes, from 0, fine, to 1, large."""
    levels: tuple[str, ...] = DEFAULT_LEVELS
    """For a picture by a model of the family wct: which features are made like the picture's,
    relu1_1 to relu5_1. The deeper, the larger its shapes; each costs a pass."""
    alpha: float = 1.0
    """For such a picture: 0 leaves the features as they are, 1 makes them wholly the picture's."""

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
        """The same, of other parts."""
        return replace(self, parts=parts)

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        return "+".join(f"{part}={part.weight:g}" for part in self.parts)


def parse_style(text: str | Path) -> StyleSpec:
    """The style that a text names.

    It is NAME, of the default model; MODEL:NAME, of another one that ships; FILE.onnx:NAME, of a
    file of your own; or MODEL or FILE.onnx alone for its first style. It is also a PICTURE,
    MODEL:PICTURE or FILE.onnx:PICTURE. Several of one model are mixed, with weights if you like:
    A+B, A=2+B. Raises UserError where a weight is none; whether there is such a style is seen when
    it is read.

    >>> parse_style("great-wave").parts
    (StylePart(model='medium', name='great-wave', picture='', weight=1.0),)
    >>> {part.picture: part.weight for part in parse_style("a.jpg=2+b.jpg").parts}
    {'a.jpg': 2.0, 'b.jpg': 1.0}
    """
    text = str(text)
    if _is_file(text) or _is_file(_part(text).picture or _part(text).name):
        return StyleSpec((_part(text),))  # whatever is in its name
    weights: dict[str, float] = {}
    for each in text.split("+"):
        name, equals, weight = each.rpartition("=")
        try:
            weights[name if equals else each] = float(weight) if equals else 1.0
        except ValueError:  # it was a part of the name
            weights[each] = 1.0
    return StyleSpec(tuple(replace(_part(name), weight=w) for name, w in weights.items()))


def as_spec(style: str | Path | StyleSpec) -> StyleSpec:
    """A style given in either way."""
    return style if isinstance(style, StyleSpec) else parse_style(style)


def asked_for(
    style: str | None, pictures: Sequence[str], default: str = DEFAULT_STYLE
) -> StyleSpec:
    """The style that --style and --style-image ask for. With pictures, PICTURE or PICTURE=WEIGHT,
    --style names a model; of a folder it is the first picture, with the others beside it.
    """
    if not pictures:
        return parse_style(style or default)
    return StyleSpec(tuple(_picture_part(picture, style or PICTURE_MODEL) for picture in pictures))


def is_picture(name: str) -> bool:
    """Whether a style is a picture, by its name."""
    return Path(name).suffix.lower() in SUFFIXES


def _picture_part(text: str, model: str) -> StylePart:
    path, equals, weight = text.rpartition("=")
    if not equals or _is_file(text) or Path(text).is_dir():
        path, weight = text, "1"
    try:
        part = StylePart(model, picture=path, weight=float(weight))
    except ValueError:  # it was a part of the name
        part = StylePart(model, picture=text)
    if Path(part.picture).is_dir():
        stills = list_stills(Path(part.picture))
        if not stills:
            raise UserError(
                f"no pictures in {part.picture}; it takes {', '.join(sorted(SUFFIXES))}"
            )
        return replace(part, picture=str(stills[0]))
    if not is_picture(part.picture):
        raise UserError(
            f"{text} is not a picture by its name, which ends in {', '.join(sorted(SUFFIXES))}"
        )
    return part


def _part(text: str) -> StylePart:
    """One style, without a weight."""
    model, name = _split(text)
    return StylePart(model, picture=name) if is_picture(name) else StylePart(model, name)


def _split(text: str) -> tuple[str, str]:
    """The model, and the name or picture behind it if one is given."""
    if match := re.fullmatch(r"(.+?\.onnx)(?::(.+))?", text):
        return match[1], match[2] or ""
    if text in shipped_models():
        return text, ""
    model, _, name = text.rpartition(":")
    if is_picture(text) and model not in shipped_models():  # C: is no model
        return PICTURE_MODEL, text
    return model or DEFAULT_MODEL, name


def _is_file(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_file()
    except OSError:  # a mix of many is longer than a name can be
        return False
