"""Turn a style, given by names or pictures, into the named arrays that its model takes."""

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
from streamstyle.styles.spec import StylePart, StyleSpec, names_picture

PICTURE_SIDE = 384
"""Short side, in pixels, to which a picture is resized before its style is read."""

PATCHES_SIDE = 256
"""Short side for models that compare each patch of the frame with each patch of the picture."""

PATCHES_AXIS = 3
"""Axis of the patches in style tensors, (1, attentions, heads, patches, width of a head)."""

STROKES = (0.0, 0.5, 1.0)
"""Stroke sizes for which a picture's style is read if the sizes between them are mixed."""

LARGEST_STROKE = 1.6
"""Factor by which a picture is enlarged for the largest strokes, and reduced for the finest."""

LONGEST = 1024
"""Maximum long side of a resized picture, in pixels; longer ones, such as friezes, are squeezed."""


def find_style(part: StylePart) -> tuple[ModelCard, int]:
    """Return the card of a named style's model, and the index of the style in the card.

    Without a name, the index is 0. Raises UserError if the model has no style of this name, and
    the errors of `card_of`.
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
    """Return the styles to step through from `style`, and its index among them.

    For a named style they are all styles of its model, for a picture all pictures in its folder;
    for a mix, the first part decides. The index is -1 if `style` is not among them.
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
    """Return the style for a file that was dropped on a painting in `style`.

    A picture goes to the model of `style` if that takes pictures, else to PICTURE_MODEL. Any other
    file is taken for a model.
    """
    if not names_picture(file):
        return style.with_parts(StylePart(file))
    model = style.parts[0].model
    takes_it = takes_pictures(card_of(model))
    return style.with_parts(StylePart(model if takes_it else PICTURE_MODEL, picture=file))


def read_style(style: StyleSpec) -> tuple[ModelCard, Style]:
    """Return the card of the model that paints in `style`, and its inputs; see `read_strokes`."""
    card, styles = read_strokes(style)
    return card, at_stroke(styles, style.stroke)


def read_strokes(style: StyleSpec) -> tuple[ModelCard, tuple[Style, ...]]:
    """Return the card of the model that paints in `style`, and its inputs for each stroke size.

    The inputs go from the smallest strokes to the largest. There is only one if the stroke size
    has to be chosen when a picture is read. Raises UserError or EngineError if no model can paint
    the style.
    """
    model: ModelCard | None = None
    read: list[tuple[Style, ...]] = []
    for part in style.parts:
        card, inputs = _read_part(part, style)
        if model is not None and (
            model.path != card.path or not (mixes(card) or card.takes_patches)
        ):
            raise UserError(
                f"{part} is painted by {card.path.name}, so it can't be mixed with styles of "
                f"{model.path.name}; mix only different styles of one model"
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
            f"{card.path.name} has its own styles and takes no picture; for a picture's style use "
            f"{PICTURE_MODEL}"
        )
    picture = Path(part.picture)
    changed = picture.stat().st_mtime_ns if picture.exists() else 0
    # A style row is predicted in a moment: do it for all sizes, so that strokes can change live.
    strokes = STROKES if card.row_length else (style.stroke,)
    return card, tuple(
        _style_of_picture(
            card.path, card.sha256, picture, changed, stroke, style.levels, style.alpha
        )
        for stroke in strokes
    )


@lru_cache(maxsize=12)  # some styles are 11 MB
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
    """Return whether levels and alpha affect `style`: a picture, for a model of the family wct."""
    part = style.parts[0]
    return bool(part.picture) and not card_of(part.model).style_tensors


def style_inputs(card: ModelCard, number: int) -> tuple[Style, ...]:
    """Return the inputs for one named style, from the smallest strokes to the largest.

    `number` is the index of the style in `card.styles`.
    """
    strokes = len(card.strokes)
    rows = len(card.styles) * strokes
    if rows == 1 and not card.row_length:
        return (NO_STYLE,)
    no_row = {STYLE_ROW: np.zeros((1, card.row_length), np.float32)} if card.row_length else {}
    alone = np.eye(rows, dtype=np.float32)[number * strokes :][:strokes]
    return tuple({STYLE_WEIGHTS: weights, **no_row} for weights in alone)


def at_stroke(styles: Sequence[Style], stroke: float) -> Style:
    """Interpolate between `styles`, from the first at `stroke` 0 to the last at 1."""
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
    """Return the weighted sum of styles."""
    return {
        name: np.asarray(sum(w * s[name] for w, s in zip(shares, styles, strict=True)))
        for name in styles[0]
    }


def _patches_of_each(styles: Sequence[Style], shares: NDArray[np.float32]) -> Style:
    """Mix styles that consist of patches: each gives as many patches as its share.

    Each patch of the frame looks for similar patches, so a picture has the influence that its
    number of patches gives it. The patches of each picture are picked at even distances.
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
    """Return whether a model's styles are mixed by adding up their inputs.

    They are not if the model has a single style, or if its styles consist of patches: then a mix
    holds some patches of each picture.
    """
    return not card.takes_patches and (len(card.styles) > 1 or takes_pictures(card))


def read_picture(path: Path, short_side: int = PICTURE_SIDE) -> Frames:
    """Read a style picture, resized to `short_side` pixels, as uint8 (1, H, W, 3).

    Transparent parts become white. Raises UserError if the picture can't be read, or if a side has
    fewer than MIN_SIDE pixels.
    """
    still = read_still(path)
    height, width = still.image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise UserError(
            f"{path} has {width}x{height} pixels; a style needs at least {MIN_SIDE}x{MIN_SIDE}"
        )
    image = still.image
    assert still.still is not None
    if still.still.alpha is not None:  # on white, as a web page shows it
        opacity = still.still.alpha[..., np.newaxis] / 255
        image = (opacity * image + (1 - opacity) * 255).astype(np.uint8)
    scale = short_side / min(height, width)
    sides = [min(LONGEST, max(MIN_SIDE, round(side * scale))) for side in (width, height)]
    return resized(image, *sides)[np.newaxis]
