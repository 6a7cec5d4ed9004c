"""One picture of several: of layers, of inside and outside of a mask, of painting and original."""

import numpy as np

from engines import in_regions
from streamstyle.frame import Image
from streamstyle.live.controls import Controls, View
from streamstyle.live.styles import Layer
from streamstyle.masks import Part, masks_of
from streamstyle.pixels import composed, scaled
from streamstyle.styles import has_regions


def painted_by(layers: list[Layer], seen: Image) -> Image:
    """The weighted sum of what the layers make of `seen`."""
    if len(layers) == 1:
        (layer,) = layers
        return np.asarray(layer.engine.paint(seen[np.newaxis], layer.inputs)[0])
    total = np.zeros(seen.shape, np.float32)
    for layer in layers:
        total += layer.share * layer.engine.paint(seen[np.newaxis], layer.inputs)[0]
    result: Image = np.round(total).astype(np.uint8)
    return result


def painted_apart(inside: list[Layer], outside: list[Layer], part: Part, seen: Image) -> Image:
    """`part` of `seen` painted by `inside`, and the rest by `outside`; in one pass where one engine
    can."""
    if len(inside) == len(outside) == 1:
        (one,), (other,) = inside, outside
        if one.engine is other.engine and has_regions(one.engine.card, one.inputs):
            style = in_regions((one.inputs, other.inputs), masks_of(part))
            return np.asarray(one.engine.paint(seen[np.newaxis], style)[0])
    return composed(painted_by(inside, seen), painted_by(outside, seen), part)


def painted_only_in(part: Part, painting: Image, original: Image) -> Image:
    """`painting` in `part`, which may be of another size, and outside `original` to the pixel."""
    height, width = original.shape[:2]
    fitting = scaled(part[..., 0], width, height)[..., np.newaxis]
    return composed(painting, original, fitting)


def viewed(painting: Image, original: Image, controls: Controls) -> Image:
    """What the window shows of a painting and the original."""
    match controls.view:
        case View.PAINTED:
            return painting
        case View.ORIGINAL:
            return original
        case View.SIDE_BY_SIDE:
            return np.hstack([original, painting])
        case View.SPLIT:
            line = round(controls.split * painting.shape[1])
            return np.hstack([original[:, :line], painting[:, line:]])
