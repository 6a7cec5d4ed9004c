"""Compose a painted frame from layers, mask regions, the previous frame and the original.

Files and live video share this code. First, `paint` runs the networks at their size. Then `finish`
stabilizes the painting, resizes it to the frame's size, takes colors from the original, blends the
two, and restores the original outside the mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engines import Engine, Style, in_regions
from streamstyle.errors import check_share
from streamstyle.frame import Frame, Image
from streamstyle.image_ops import blended, composed, recolored, resized, scaled
from streamstyle.painting.masks import Mask, Part, masks_of
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import has_regions

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a painting is finished, in files and in live video.

    Raises UserError if a value is not from 0 to 1.
    """

    strength: float = 1.0
    """Share of the painting in the result, from 0 (only the original) to 1 (only the painting)."""
    keep_colors: bool = False
    """Take only the lightness from the painting, and the colors from the original."""
    steady: float = 0.0
    """How steady video is, from 0 (each frame as painted) to 1 (mostly the previous frame)."""

    def __post_init__(self) -> None:
        check_share("strength", self.strength)
        check_share("steadiness", self.steady)


@dataclass(frozen=True)
class Layer:
    """An engine and a style that paint the frame, and their weight among the layers."""

    engine: Engine
    style: Style
    weight: float = 1.0


class Painting(NamedTuple):
    """A frame as the networks painted it, before it is finished."""

    original: Image
    """The frame at its own size."""
    net_input: Image
    """The frame at the networks' size."""
    image: Image
    """The painting, at the networks' size."""
    mask: Part | None
    """Where the painting belongs, at the frame's size; None for everywhere."""


class Compositor:
    """Paints and finishes frames.

    With a mask or a stabilizer, only one thread at a time may use it.
    """

    def __init__(self, mask: Mask | None = None, stabilizer: Stabilizer | None = None) -> None:
        """Without `stabilizer`, nothing of the previous painting is kept."""
        self._mask = mask
        self._stabilizer = stabilizer

    def paint(
        self, frame: Frame, size: Size, inside: Sequence[Layer], outside: Sequence[Layer] = ()
    ) -> Painting:
        """Paint the frame at `size`.

        With a mask, `inside` paints the inside and `outside` the rest. Without `outside` layers,
        or without a mask, `inside` paints the whole frame.
        """
        net_input = resized(frame.image, *size)
        if frame.still is not None:
            for layer in (*inside, *outside):
                layer.engine.reset_state()
        mask = None if self._mask is None else self._mask(frame)
        if mask is None or not outside:
            return Painting(frame.image, net_input, _blend(inside, net_input), mask)
        image = _paint_regions(inside, outside, scaled_mask(mask, *size), net_input)
        return Painting(frame.image, net_input, image, None)

    def finish(self, painting: Painting, finish: Finish, previous_weight: float = 0.0) -> Image:
        """Return the finished painting, (H, W, 3), at the frame's size.

        With a stabilizer, at least the share `previous_weight`, 0 to 1, of the previous painting is
        kept.
        """
        original, image = painting.original, painting.image
        if self._stabilizer is not None:
            image = self._stabilizer(painting.net_input, image, finish.steady, previous_weight)
        height, width = original.shape[:2]
        image = resized(image, width, height)
        if finish.keep_colors:
            image = recolored(image, original)
        if finish.strength < 1:
            image = blended(image, original, finish.strength)
        if painting.mask is not None:
            image = composed(image, original, painting.mask)
        return image


def scaled_mask(mask: Part, width: int, height: int) -> Part:
    """Return a mask (H, W, 1) at another size; the same array if it has that size already."""
    if mask.shape[:2] == (height, width):
        return mask
    return scaled(mask[..., 0], width, height)[..., np.newaxis]


def _blend(layers: Sequence[Layer], net_input: Image) -> Image:
    """Return the weighted sum of the layers' paintings of `net_input`."""
    if len(layers) == 1:
        (layer,) = layers
        return np.asarray(layer.engine.paint(net_input[np.newaxis], layer.style)[0])
    total = np.zeros(net_input.shape, np.float32)
    for layer in layers:
        total += layer.weight * layer.engine.paint(net_input[np.newaxis], layer.style)[0]
    result: Image = np.round(total).astype(np.uint8)
    return result


def _paint_regions(
    inside: Sequence[Layer], outside: Sequence[Layer], mask: Part, net_input: Image
) -> Image:
    """Paint `net_input` by `inside` in the mask, and by `outside` elsewhere.

    This takes only one pass if one engine can paint both.
    """
    if len(inside) == len(outside) == 1:
        (one,), (other,) = inside, outside
        if one.engine is other.engine and has_regions(one.engine.card, one.style):
            style = in_regions((one.style, other.style), masks_of(mask))
            return np.asarray(one.engine.paint(net_input[np.newaxis], style)[0])
    return composed(_blend(inside, net_input), _blend(outside, net_input), mask)
