"""Arrange the painting and the original for the window."""

import numpy as np

from streamstyle.frame import Image
from streamstyle.live.controls import Controls, View


def viewed(painting: Image, original: Image, controls: Controls) -> Image:
    """Return what the window shows of a painting and the original, both (H, W, 3)."""
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
