"""Steadies painted video: what stands still in the input stands still in the painting."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv

FLOW_SIDE = 160
"""Pixels of the longer side at which motion is looked for: enough for a hand, and cheap."""

MOST = 0.85
"""The part of the last picture that is kept at full steadiness: more would smear for seconds."""

TRUSTED = 8.0
"""Levels of 255 by which the moved last input may miss the present one, noise and rounding
included, and the flow still counts as explaining it; at twice as many nothing is kept."""

CUT = 0.6
"""The part of the picture that has to be unexplained for a scene cut."""

SLOW = 1.0
"""Pixels, at FLOW_SIDE, below which motion may be noise of the camera."""

MOST_CONTRAST = 1.2
"""By which contrast is raised at most in a frame. Two unrelated pictures blended as MOST says lose
no more (1 / sqrt(0.85^2 + 0.15^2) = 1.16); higher would let a seam feed itself."""

Field = NDArray[np.float32]


class Stabilizer:
    """Blends each painted frame with the one before it, moved along with the input, wherever that
    motion explains the input. Used by one thread.

    Motion is the optical flow of Kroeger et al. (Fast Optical Flow using Dense Inverse Search,
    2016). Where it may not be trusted follows Ruder et al. (Artistic Style Transfer for Videos,
    2016, section 4.1).
    """

    def __init__(self) -> None:
        cv2 = load_opencv()
        self._flow: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # The preset stops at a quarter of the size: too coarse to move brush strokes by.
        self._flow.setFinestScale(1)
        self._flow.setGradientDescentIterations(6)  # of 12; more took time and changed nothing
        self._before: Image | None = None  # the input, small
        # In full precision while it is blended, or old paint would never quite go.
        self._painted: Field | Image | None = None

    def __call__(self, source: Image, painted: Image, amount: float, kept: float = 0.0) -> Image:
        """`painted` (H, W, 3) is what `source` became, either of any size, which may change from
        frame to frame; `amount` is 0, nothing kept, to 1. Of the last result `kept`, 0 to 1, stays
        at least, everywhere but at a cut. The result is of `painted`'s size.
        """
        cv2 = load_opencv()
        now = _small(source)
        before, last = self._before, self._painted
        self._before, self._painted = now, painted
        if before is None or last is None or amount == kept == 0:
            return painted
        flow, trust = self._motion(now, _fitted(before, now))
        if np.mean(trust < 0.1) > CUT:
            return painted
        height, width = painted.shape[:2]
        new = painted.astype(np.float32)
        # Cubic: a linear one, frame after frame, would blur the strokes away.
        moved = _moved(_fitted(last.astype(np.float32), new), flow, cv2.INTER_CUBIC)
        share = np.maximum(trust * np.float32(MOST * amount), np.float32(kept))
        share = cv2.resize(share, (width, height))
        steady = _with_contrast(cv2.blendLinear(moved, new, share, 1 - share), new)
        self._painted = steady
        result: Image = cv2.add(steady, 0, dtype=cv2.CV_8U)  # rounds, and stays within 0..255
        return result

    def _motion(self, now: Image, before: Image) -> tuple[Field, Field]:
        """Where each pixel of `now` was in `before`, (h, w, 2) relative to where it is, and how
        well that explains it, (h, w), 0..1.
        """
        cv2 = load_opencv()
        grey, grey_before = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (now, before))
        flow = self._flow.calc(grey, grey_before, None)
        forth = _moved(self._flow.calc(grey_before, grey, None), flow, cv2.INTER_LINEAR)
        miss = _difference(_moved(before, flow, cv2.INTER_LINEAR), now)
        miss_unmoved = _difference(before, now)
        # Noise looks like motion, and moving a still picture by it would make the picture tremble.
        still = cv2.blur(miss_unmoved, (9, 9)) <= 1.1 * cv2.blur(miss, (9, 9)) + 0.3
        still &= _squared_length(flow) < SLOW**2
        flow[still] = 0
        miss[still] = miss_unmoved[still]
        # Over a neighborhood, or single pixels that happen to be alike would keep old paint.
        miss = cv2.dilate(cv2.blur(miss, (5, 5)), np.ones((5, 5), np.uint8))
        trust = np.clip(2 - miss / np.float32(TRUSTED), 0, 1)
        # Equation 5 of Ruder et al.: there and back does not end where it began. Asked of what is
        # now taken for still too: next to what moves, that is where a trail would be.
        apart = _squared_length(flow + forth)
        trust[apart > 0.01 * (_squared_length(flow) + _squared_length(forth)) + 0.5] = 0
        height, width = trust.shape
        x, y = cv2.split(_origins(flow, width, height))
        trust[(x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)] = 0
        # What moves is painted with a halo, of which nothing may stay behind either.
        return flow, cv2.blur(cv2.erode(trust, np.ones((5, 5), np.uint8)), (5, 5))


def _small(source: Image) -> Image:
    """At the size for flow, with less noise."""
    cv2 = load_opencv()
    height, width = source.shape[:2]
    scale = min(1.0, FLOW_SIDE / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small: Image = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
    blurred: Image = cv2.GaussianBlur(small, (3, 3), 0)
    return blurred


def _fitted(picture: Any, other: Any) -> Any:
    """`picture` at the size of `other`."""
    if picture.shape == other.shape:
        return picture
    return load_opencv().resize(picture, (other.shape[1], other.shape[0]))


def _difference(image: Image, other: Image) -> Field:
    """Levels at each pixel, of the channel that differs most."""
    cv2 = load_opencv()
    red, green, blue = cv2.split(cv2.absdiff(image, other))
    difference: Field = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    return difference


def _squared_length(flow: Field) -> Field:
    x, y = load_opencv().split(flow)
    squared: Field = x * x + y * y
    return squared


def _moved(picture: Any, flow: Field, interpolation: int) -> Any:
    """Each pixel from where `flow`, given at any size, says that it was."""
    cv2 = load_opencv()
    height, width = picture.shape[:2]
    at = _origins(flow, width, height)
    return cv2.remap(picture, at, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _origins(flow: Field, width: int, height: int) -> Field:
    """(height, width, 2): the x and y where each pixel was."""
    cv2 = load_opencv()
    flow_height, flow_width = flow.shape[:2]
    if (flow_width, flow_height) != (width, height):
        scale = np.array([width / flow_width, height / flow_height], np.float32)
        flow = cv2.resize(flow * scale, (width, height))
    origins: Field = cv2.add(flow, _grid(width, height))
    return origins


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> Field:
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.dstack(np.meshgrid(x, y))


def _with_contrast(steady: Field, new: Field) -> Field:
    """`steady` with strokes as strong as those of `new`.

    An average of different strokes is paler than each. Heitz and Neyret (High-Performance
    By-Example Noise, 2018) divide by what unrelated pictures lose; here the loss is measured.
    """
    cv2 = load_opencv()
    height, width = new.shape[:2]
    gain = np.sqrt((_local_variance(new) + 1) / (_local_variance(steady) + 1))
    gain = cv2.resize(np.clip(gain, 1, MOST_CONTRAST), (width, height))
    smooth = cv2.blur(steady, (7, 7))
    contrasted: Field = cv2.blendLinear(steady, smooth, gain, 1 - gain)
    return contrasted


def _local_variance(picture: Field) -> Field:
    """Variance of the strokes around each place, by every second pixel's green, which is enough."""
    cv2 = load_opencv()
    green = np.ascontiguousarray(picture[::2, ::2, 1])
    mean = cv2.blur(green, (5, 5))
    variance: Field = cv2.blur(cv2.blur(green * green, (5, 5)) - mean * mean, (9, 9))
    return variance
