"""Steadies painted video: what stands still in the input stands still in the painting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.frame import Image
from streamstyle.pixels import load_opencv

FLOW_WIDTH = 192
"""Pixels across at which motion is looked for: enough for a hand, and 2 ms of one core."""

MOST = 0.85
"""The part of the last picture that is kept at full steadiness: more would smear for seconds."""

TRUSTED = 8.0
"""Levels of 255 by which the moved last input may miss the present one, noise and rounding
included, and the flow still counts as explaining it; at twice as many nothing is kept."""

CUT = 0.6
"""The part of the picture that has to be unexplained for a scene cut."""

STILL = 0.25
"""Pixels, at FLOW_WIDTH, below which motion is noise of the camera: taking it for motion would
resample the kept picture again and again, and blur it."""

Field = NDArray[np.float32]


class Stabiliser:
    """Blends each painted frame with the one before it, moved along with the input, wherever that
    motion explains the input. Used by one thread."""

    def __init__(self) -> None:
        cv2 = load_opencv()
        self._flow: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._before: Image | None = None  # the input, small
        self._painted: Image | None = None

    def reset(self) -> None:
        """Forget the past: what comes next has nothing to do with it."""
        self._before = self._painted = None

    def __call__(self, source: Image, painted: Image, amount: float) -> Image:
        """`painted` is what `source` became, of any size; `amount` is 0, nothing kept, to 1."""
        cv2 = load_opencv()
        height = max(16, round(FLOW_WIDTH * source.shape[0] / source.shape[1]))
        small = cv2.resize(source, (FLOW_WIDTH, height), interpolation=cv2.INTER_AREA)
        before, last = self._before, self._painted
        self._before = small
        if before is None or last is None or last.shape != painted.shape or amount == 0:
            self._painted = painted
            return painted
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (small, before)]
        flow = self._flow.calc(*grey, None)  # where each present pixel was
        flow[np.abs(flow).max(axis=2) < STILL] = 0
        kept = MOST * amount * _explained(small, before, flow)
        if np.mean(kept < 0.1 * MOST * amount) > CUT:
            self._painted = painted
            return painted
        moved = _moved(last, flow)
        share = cv2.resize(kept, (painted.shape[1], painted.shape[0]))[..., np.newaxis]
        result = painted + (moved.astype(np.float32) - painted) * share
        steady: Image = np.round(result).astype(np.uint8)
        self._painted = steady
        return steady


def _explained(now: Image, before: Image, flow: Field) -> Field:
    """0..1 at each pixel: how well `before`, moved by `flow`, is `now`."""
    cv2 = load_opencv()
    miss = cv2.absdiff(_moved(before, flow), now).max(axis=2).astype(np.float32)
    # Over a neighbourhood, or single pixels that happen to be alike would keep old paint.
    miss = cv2.dilate(cv2.blur(miss, (5, 5)), np.ones((5, 5), np.uint8))
    explained: Field = np.clip(2 - miss / TRUSTED, 0, 1)
    return explained


def _moved(image: NDArray[np.uint8], flow: Field) -> NDArray[np.uint8]:
    """Each pixel from where `flow`, given at any size, says that it was."""
    cv2 = load_opencv()
    height, width = image.shape[:2]
    scale = (width / flow.shape[1], height / flow.shape[0])
    if flow.shape[:2] != (height, width):
        flow = cv2.resize(flow, (width, height))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved: NDArray[np.uint8] = cv2.remap(
        image,
        x + flow[..., 0] * np.float32(scale[0]),
        y + flow[..., 1] * np.float32(scale[1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved
