"""What a model takes to paint in a style: named arrays, of names and of pictures."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines import (
    MIN_SIDE,
    NO_STYLE,
    STYLE_ROW,
    STYLE_WEIGHTS,
    Frames,
    ModelCard,
    Style,
    read_card,
    style_of,
    takes_pictures,
)
from streamstyle.errors import UserError
from streamstyle.image_ops import resized
from streamstyle.sources.images import list_stills, read_still
from streamstyle.styles.catalog import PICTURE_MODEL, card_of
from streamstyle.styles.spec import StylePart, StyleSpec, is_picture

PICTURE_SIDE = 384
"""Pixels of the short side at which the style of a picture is taken."""

PATCHES_SIDE = 256
"""The same, for a model that compares each patch of the frame with each of the picture."""

PATCHES_AXIS = 3
"""Axis of the patches in the tensors that such a model takes, (1, attentions, heads, patches,
width of a head)."""

STROKES = (0.0, 0.5, 1.0)
"""Strokes that a picture is taken for where they are then mixed."""

LARGEST_STROKE = 1.6
"""Times its usual size at which a picture is taken for the largest strokes."""

LONGEST = 1024
"""Pixels of the long side, at most: a frieze is squeezed."""


def find_style(part: StylePart) -> tuple[ModelCard, int]:
    """The model of a style with a name, and the style's number in it. Raises UserError if it has no
    such style.
    """
    card = card_of(part.model)
    names = [known.name for known in card.styles]
    if not part.name:
        return card, 0
    if part.name not in names:
        close = get_close_matches(part.name, names, n=1)
        hint = f"did you mean {close[0]}? It has" if close else "it has"
        raise UserError(f"{card.path.name} has no style {part.name}; {hint} {', '.join(names)}")
    return card, names.index(part.name)


def styles_beside(style: StyleSpec) -> tuple[list[StyleSpec], int]:
    """All styles of the model that paints in `style`, to go through, and which of them that is, or
    -1; of a picture, the pictures in its folder; of a mix, what is beside its first part.
    """
    part = style.parts[0]
    if part.picture:
        stills = [str(path) for path in list_stills(Path(part.picture).parent)]
        beside = [style.with_parts(StylePart(part.model, picture=still)) for still in stills]
        return beside, stills.index(part.picture) if part.picture in stills else -1
    card, number = find_style(part)
    names = [known.name for known in card.styles]
    return [style.with_parts(StylePart(part.model, name)) for name in names], number


def style_of_dropped(file: str, style: StyleSpec) -> StyleSpec:
    """The style of a file that is dropped on a painting in `style`: a picture is taken by the model
    that paints, if that takes pictures.
    """
    if not is_picture(file):
        return style.with_parts(StylePart(file))
    model = style.parts[0].model
    takes_it = takes_pictures(card_of(model))
    return style.with_parts(StylePart(model if takes_it else PICTURE_MODEL, picture=file))


def read_style(style: StyleSpec) -> tuple[ModelCard, Style]:
    """The model that paints in `style`, and its inputs for it; see `read_strokes`."""
    card, styles = read_strokes(style)
    return card, at_stroke(styles, style.stroke)


def read_strokes(style: StyleSpec) -> tuple[ModelCard, tuple[Style, ...]]:
    """The model that paints in `style`, and its inputs for it from its smallest strokes to its
    largest; only one where strokes are chosen when a picture is read.

    Raises UserError or EngineError where it can't be painted.
    """
    model: ModelCard | None = None
    read: list[tuple[Style, ...]] = []
    for part in style.parts:
        card, inputs = _read_part(part, style)
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
    weights = np.array([part.weight for part in style.parts], np.float32)
    mix = _patches_of_each if model.takes_patches else _mixed
    return model, tuple(mix(styles, weights / weights.sum()) for styles in zip(*read, strict=True))


def _read_part(part: StylePart, style: StyleSpec) -> tuple[ModelCard, tuple[Style, ...]]:
    if not part.picture:
        card, number = find_style(part)
        if not card.styles:
            raise UserError(f"{card.path.name} paints in the style of a picture; give one")
        if len(card.strokes) == 1 and style.stroke != StyleSpec.stroke:
            raise UserError(f"{card.path.name} has strokes of one size; leave out --stroke")
        return card, style_inputs(card, number)
    card = card_of(part.model)
    if not takes_pictures(card):
        raise UserError(
            f"{card.path.name} paints in styles of its own, not in that of a picture; "
            f"{PICTURE_MODEL} does"
        )
    picture = Path(part.picture)
    changed = picture.stat().st_mtime_ns if picture.exists() else 0
    # A row is predicted in a moment, so that strokes can change while it is painted.
    strokes = STROKES if card.row_length else (style.stroke,)
    return card, tuple(
        _style_of_picture(
            card.path, card.sha256, picture, changed, stroke, style.levels, style.alpha
        )
        for stroke in strokes
    )


@lru_cache(maxsize=12)  # some of them are 11 MB
def _style_of_picture(
    model: Path,
    _sha256: str,
    picture: Path,
    _changed_ns: int,
    stroke: float,
    levels: tuple[str, ...],
    alpha: float,
) -> Style:
    card = read_card(model)
    side = PATCHES_SIDE if card.takes_patches else PICTURE_SIDE
    side = round(side * LARGEST_STROKE ** (2 * stroke - 1))
    return style_of(card, read_picture(picture, side), levels, alpha)


def takes_levels(style: StyleSpec) -> bool:
    """Whether levels and alpha change a style: that of a picture, by a model of the family wct."""
    part = style.parts[0]
    return bool(part.picture) and not card_of(part.model).style_tensors


def style_inputs(card: ModelCard, number: int) -> tuple[Style, ...]:
    """What has the model of `card` paint in that one of its styles alone, from its smallest strokes
    to its largest.
    """
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


def _mixed(styles: Sequence[Style], shares: NDArray[np.float32]) -> Style:
    """The weighted sum of styles."""
    return {
        name: np.asarray(sum(w * s[name] for w, s in zip(shares, styles, strict=True)))
        for name in styles[0]
    }


def _patches_of_each(styles: Sequence[Style], shares: NDArray[np.float32]) -> Style:
    """A style of patches of several: where each patch of the frame looks for what is like it, a
    picture counts by how many it has there, so each gives as many as its share, evenly spread.
    """
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


def mixes(card: ModelCard) -> bool:
    """Whether styles of a model are mixed by adding up their inputs: not where there is but one,
    nor where a style is the patches of a picture, of which a mix has some of each.
    """
    return not card.takes_patches and (len(card.styles) > 1 or takes_pictures(card))


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
