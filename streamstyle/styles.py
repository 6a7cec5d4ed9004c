"""The styles that ship, and the model that paints in each."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines import (
    DEFAULT_LEVELS,
    MIN_SIDE,
    NO_STYLE,
    STYLE_ROW,
    STYLE_WEIGHTS,
    ZOO,
    Engine,
    Frames,
    ModelCard,
    Style,
    WrappedEngine,
    read_card,
    style_of,
    takes_pictures,
)
from engines import open_engine as open_model
from streamstyle.errors import UserError, check_share
from streamstyle.pixels import resized
from streamstyle.sources.still import SUFFIXES, list_stills, read_still

DEFAULT_MODEL = "medium"

DEFAULT_STYLE = "starry-night"

PICTURE_MODEL = "wct"
"""What paints in the style of a picture, unless told another."""

PICTURE_SIDE = 384
"""Pixels of the short side at which the style of a picture is taken."""

PATCHES_SIDE = 256
"""The same, for a model that compares each patch of the frame with each of the picture."""

PATCHES_AXIS = 3
"""Of the tensors that such a model takes, (1, attentions, heads, patches, width of a head)."""

STROKES = (0.0, 0.5, 1.0)
"""Strokes that a picture is taken for where they are then mixed."""

LARGEST_STROKE = 1.6
"""Times its usual size at which a picture is taken for the largest strokes."""

LONGEST = 1024
"""Pixels of the long side, at most: a frieze is squeezed."""

CLASSIC_STYLE = "classic"
"""Johnson's net of the published width: what speeds are compared by."""


@cache
def shipped_models() -> dict[str, Path]:
    """The models that ship, by name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.onnx"))}


def find_style(style: str | Path) -> tuple[ModelCard, int]:
    """The model that paints in `style`, and the style's number in it.

    A style is NAME, of the default model; MODEL:NAME, of another one that ships; or FILE.onnx:NAME,
    of a file of your own. MODEL or FILE.onnx alone is its first style.
    """
    model, name = _split(style)
    card = _card(model)
    names = [known.name for known in card.styles]
    if not name:
        return card, 0
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}? It has" if close else "it has"
        raise UserError(f"{card.path.name} has no style {name}; {hint} {', '.join(names)}")
    return card, names.index(name)


def _card(model: str) -> ModelCard:
    if model.endswith(".onnx"):
        return read_card(Path(model))
    if model in shipped_models():
        return read_card(shipped_models()[model])
    raise UserError(
        f"no model {model}; there is {', '.join(shipped_models())}, or the path of a .onnx file"
    )


def style_inputs(card: ModelCard, number: int) -> tuple[Style, ...]:
    """What has the model of `card` paint in that one of its styles alone, from its smallest strokes
    to its largest."""
    strokes = len(card.strokes)
    rows = len(card.styles) * strokes
    if rows == 1 and not card.row_length:
        return (NO_STYLE,)
    no_row = {STYLE_ROW: np.zeros((1, card.row_length), np.float32)} if card.row_length else {}
    alone = np.eye(rows, dtype=np.float32)[number * strokes :][:strokes]
    return tuple({STYLE_WEIGHTS: weights, **no_row} for weights in alone)


def at_stroke(styles: Sequence[Style], stroke: float) -> Style:
    """The style with strokes of a size from 0, the first of `styles`, to 1, the last."""
    place = stroke * (len(styles) - 1)
    smaller = min(int(place), len(styles) - 1)
    larger = min(smaller + 1, len(styles) - 1)
    share = np.float32(place - smaller)
    if share == 0:
        return styles[smaller]
    return {
        name: (1 - share) * array + share * styles[larger][name]
        for name, array in styles[smaller].items()
    }


def styles_beside(style: str) -> tuple[list[str], int]:
    """All styles of the model that paints in `style`, to go through, and which of them that is;
    of a picture, the pictures in its folder; of a mix, what is beside its first part."""
    style = next(iter(_weighted(style)))
    model, name = _split(style)
    if is_picture(name):
        before = style.removesuffix(name)
        pictures = [before + str(path) for path in list_stills(Path(name).parent)]
        return pictures, pictures.index(style) if style in pictures else -1
    card, number = find_style(style)
    prefix = "" if style in (known.name for known in card.styles) else f"{model}:"
    return [prefix + known.name for known in card.styles], number


def _split(style: str | Path) -> tuple[str, str]:
    """The model, and the style's name if one is given."""
    text = str(style)
    if match := re.fullmatch(r"(.+?\.onnx)(?::(.+))?", text):
        return match[1], match[2] or ""
    if text in shipped_models():
        return text, ""
    model, _, name = text.rpartition(":")
    if is_picture(text) and model not in shipped_models():  # C: is no model
        return PICTURE_MODEL, text
    return model or DEFAULT_MODEL, name


@dataclass(frozen=True)
class Transfer:
    """How a style is taken."""

    stroke: float = 0.5
    """Size of the strokes, from 0, fine, to 1, large."""
    levels: tuple[str, ...] = DEFAULT_LEVELS
    """For a picture by a model of the family wct: which features are made like the picture's,
    relu1_1 to relu5_1: the deeper, the larger its shapes; several are painted one after the other,
    which costs as much more."""
    alpha: float = 1.0
    """For such a picture: 0 leaves the features as they are, 1 makes them wholly the picture's."""

    def __post_init__(self) -> None:
        check_share("stroke", self.stroke)
        if not 0 <= self.alpha <= 1:
            raise UserError(f"alpha is from 0 to 1, got {self.alpha}")


def read_style(style: str | Path, transfer: Transfer = Transfer()) -> tuple[ModelCard, Style]:
    """The model that paints in `style`, and its inputs for it; see `read_strokes`."""
    card, styles = read_strokes(style, transfer)
    return card, at_stroke(styles, transfer.stroke)


def read_strokes(
    style: str | Path, transfer: Transfer = Transfer()
) -> tuple[ModelCard, tuple[Style, ...]]:
    """The model that paints in `style`, and its inputs for it, from its smallest strokes to its
    largest; only one where `transfer` alone says which.

    A style is what `find_style` takes, or a PICTURE, MODEL:PICTURE or FILE.onnx:PICTURE. Several of
    one model are mixed, by weights: A+B, A=2+B. Raises UserError or EngineError where it can't be.
    """
    parts = _weighted(str(style))
    model: ModelCard | None = None
    read: list[tuple[Style, ...]] = []
    for part in parts:
        card, inputs = _read_one(part, transfer)
        if model is not None and (
            model.path != card.path or not (mixes(card) or card.takes_patches)
        ):
            raise UserError(
                f"{part} is painted by {card.path.name}, which can't be mixed into one style with "
                f"those of {model.path.name}"
            )
        model = card
        read.append(inputs)
    assert model is not None
    shares = np.array([*parts.values()], np.float32) / np.float32(sum(parts.values()))
    mix = _patches_of_each if model.takes_patches else _mixed
    return model, tuple(mix(styles, shares) for styles in zip(*read, strict=True))


def _mixed(styles: Sequence[Style], shares: NDArray[np.float32]) -> Style:
    """The weighted sum of styles."""
    return {
        name: np.asarray(sum(w * s[name] for w, s in zip(shares, styles, strict=True)))
        for name in styles[0]
    }


def _patches_of_each(styles: Sequence[Style], shares: NDArray[np.float32]) -> Style:
    """A style of patches of several: where each patch of the frame looks for what is like it, a
    picture counts by how many it has there, so each gives as many as its share, evenly spread."""
    counts = [next(iter(style.values())).shape[PATCHES_AXIS] for style in styles]
    total = min(count / share for count, share in zip(counts, shares, strict=True))
    taken = [
        np.linspace(0, count - 1, max(1, round(share * total))).round().astype(int)
        for count, share in zip(counts, shares, strict=True)
    ]
    return {
        name: np.concatenate(
            [np.take(s[name], t, PATCHES_AXIS) for s, t in zip(styles, taken, strict=True)],
            PATCHES_AXIS,
        )
        for name in styles[0]
    }


def asked_for(style: str | None, pictures: Sequence[str], default: str = DEFAULT_STYLE) -> str:
    """The style that --style and --style-image ask for; with pictures, --style names a model. Of a
    folder it is the first picture, with the others beside it."""
    if not pictures:
        return style or default
    parts = []
    for picture in pictures:
        if Path(picture).is_dir():
            stills = list_stills(Path(picture))
            if not stills:
                raise UserError(f"no pictures in {picture}; it takes {', '.join(sorted(SUFFIXES))}")
            picture = str(stills[0])
        if not is_picture(picture.rpartition("=")[0] or picture) and not is_picture(picture):
            raise UserError(
                f"{picture} is not a picture by its name, which ends in "
                f"{', '.join(sorted(SUFFIXES))}"
            )
        parts.append(picture if style is None else f"{style}:{picture}")
    return "+".join(parts)


def dropped(file: str, style: str) -> str:
    """The style of a file that is dropped on a painting in `style`: a picture is taken by the
    model that paints, if that takes pictures."""
    model, _ = _split(next(iter(_weighted(style))))
    takes_it = is_picture(file) and model != PICTURE_MODEL and takes_pictures(_card(model))
    return f"{model}:{file}" if takes_it else file


def pictures_in(style: str | Path) -> list[str]:
    """The paths of the pictures among the parts of a style."""
    names = [_split(part)[1] for part in _weighted(str(style))]
    return [name for name in names if is_picture(name)]


def has_levels(style: str) -> bool:
    """Whether a `Transfer` changes a style: that of a picture, by a model of the family wct."""
    model, name = _split(next(iter(_weighted(style))))
    return is_picture(name) and not _card(model).style_tensors


def mixes(card: ModelCard) -> bool:
    """Whether styles of a model are mixed by adding up their inputs: not where there is but one,
    nor where a style is the patches of a picture, of which a mix has some of each."""
    return not card.takes_patches and (len(card.styles) > 1 or takes_pictures(card))


def _read_one(style: str, transfer: Transfer) -> tuple[ModelCard, tuple[Style, ...]]:
    model, name = _split(style)
    if not is_picture(name):
        card, number = find_style(style)
        if not card.styles:
            raise UserError(f"{card.path.name} paints in the style of a picture; give one")
        if len(card.strokes) == 1 and transfer.stroke != Transfer.stroke:
            raise UserError(f"{card.path.name} has strokes of one size; leave out --stroke")
        return card, style_inputs(card, number)
    card = _card(model)
    if not takes_pictures(card):
        raise UserError(
            f"{card.path.name} paints in styles of its own, not in that of a picture; "
            f"{PICTURE_MODEL} does"
        )
    picture = Path(name)
    changed = picture.stat().st_mtime_ns if picture.exists() else 0
    # A row is predicted in a moment, so that strokes can change while it is painted.
    strokes = STROKES if card.row_length else (transfer.stroke,)
    return card, tuple(
        _style_of_picture(
            card.path, card.sha256, picture, changed, replace(transfer, stroke=stroke)
        )
        for stroke in strokes
    )


@lru_cache(maxsize=12)  # some of them are 11 MB
def _style_of_picture(
    model: Path, _sha256: str, picture: Path, _changed_ns: int, transfer: Transfer
) -> Style:
    card = read_card(model)
    side = PATCHES_SIDE if card.takes_patches else PICTURE_SIDE
    side = round(side * LARGEST_STROKE ** (2 * transfer.stroke - 1))
    return style_of(card, read_picture(picture, side), transfer.levels, transfer.alpha)


def read_picture(path: Path, short_side: int = PICTURE_SIDE) -> Frames:
    """A picture to paint in the style of, (1, H, W, 3)."""
    still = read_still(path)
    height, width = still.image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise UserError(
            f"{path} has {width}x{height} pixels; a style takes at least {MIN_SIDE}x{MIN_SIDE}"
        )
    image = still.image
    assert still.still is not None
    if still.still.alpha is not None:  # as a page shows it
        opacity = still.still.alpha[..., np.newaxis] / 255
        image = (opacity * image + (1 - opacity) * 255).astype(np.uint8)
    scale = short_side / min(height, width)
    sides = [min(LONGEST, max(MIN_SIDE, round(side * scale))) for side in (width, height)]
    return resized(image, *sides)[np.newaxis]


def _weighted(style: str) -> dict[str, float]:
    """The parts of a mix, with their weights."""
    try:
        if Path(style).exists() or Path(_split(style)[1]).is_file():  # whatever is in its name
            return {style: 1.0}
    except OSError:
        pass  # a mix of many is longer than a name can be
    parts = {}
    for part in style.split("+"):
        name, _, weight = part.rpartition("=")
        try:
            value = float(weight) if name else 1.0
        except ValueError:  # it was a part of the name
            name, value = part, 1.0
        if not 0 < value < math.inf:
            raise UserError(f"a weight is a number above 0, got {weight} for {name}")
        parts[name or part] = value
    return parts


def is_picture(name: str) -> bool:
    """Whether a style is a picture, by its name."""
    return Path(name).suffix.lower() in SUFFIXES


class StyledEngine(WrappedEngine):
    """A model of many styles that paints in one unless told another; see `Engine`."""

    def __init__(self, engine: Engine, style: Style) -> None:
        super().__init__(engine)
        self.style: Style = style

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        self._engine.prepare(height, width, batch, style or self.style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        return self._engine.run(frames, style or self.style)


def side_by_side(inside: Engine, outside: Engine) -> tuple[Style, Style] | None:
    """The styles of two engines, if one of them can paint both in one pass; see
    `engines.in_regions`."""
    if not isinstance(inside, StyledEngine) or not isinstance(outside, StyledEngine):
        return None
    if inside.card.sha256 != outside.card.sha256 or inside.style.keys() != outside.style.keys():
        return None
    if not has_regions(inside.card, inside.style):
        return None
    return inside.style, outside.style


def has_regions(card: ModelCard, style: Style) -> bool:
    """Whether a model can paint such styles, each in a region, in one pass: at one level. The
    seam that a deeper level has made soft would be a halo at the next."""
    return bool(card.parts) and len({name.partition("/")[0] for name in style}) == 1


def open_engine(
    style: str | Path = DEFAULT_STYLE,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    transfer: Transfer = Transfer(),
) -> Engine:
    """Open the engine that paints in `style`; see `read_style`, and `engines.open_engine` for the
    rest."""
    card, inputs = read_style(style, transfer)
    engine = open_model(card.path, backend, device, precision)
    return StyledEngine(engine, inputs) if inputs else engine
