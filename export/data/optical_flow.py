"""Optical flow between two frames, and where it holds."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

AGREEMENT = 1.0
"""Pixels by which flow there and flow back may disagree before a place counts as occluded."""


def motion_between(
    before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Optical flow between RGB frames (H, W, 3): where each pixel of `after` was in `before`,
    (H, W, 2), x and y; and whether it was in sight there, (H, W). By dense inverse search
    (Kroeger et al. 2016), there and back.
    """
    dis: Any = cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]
        cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    )
    grey, grey_after = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after))
    back, there = dis.calc(grey_after, grey, None), dis.calc(grey, grey_after, None)
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    origins = np.asarray(back + np.dstack([x, y]), np.float32)
    empty = np.empty(0, np.float32)  # both coordinates are in `origins`
    returned = back + cv2.remap(there, origins, empty, cv2.INTER_LINEAR)
    inside = ((origins >= 0) & (origins < (width - 1, height - 1))).all(axis=2)
    return origins, inside & (np.linalg.norm(returned, axis=2) < AGREEMENT)
