"""Compute the optical flow between two frames, and where it holds."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

AGREEMENT = 1.0
"""Disagreement in pixels of flow there and back from which a pixel counts as occluded."""


def motion_between(
    before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return where each pixel of `after` was in `before`, and whether it was in sight there.

    The frames are RGB (H, W, 3). The positions are x and y, (H, W, 2); the mask is (H, W). The flow
    is computed by dense inverse search (Kroeger et al. 2016), there and back.
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
