"""Stabilize painted video: what stands still in the input stands still in the painting."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv

FLOW_SIDE = 160
"""Longer side, in pixels, at which motion is estimated: enough for a hand, and cheap."""

MOST = 0.85
"""Share of the previous painting kept at full steadiness; more would smear for seconds."""

TRUSTED = 8.0
"""Maximum error, in levels of 255, at which the flow is fully trusted.

The error is the difference between the previous input, moved along the flow, and the present one,
including noise and rounding. At twice this error, nothing is kept.
"""

CUT = 0.6
"""Fraction of the picture that the flow must fail to explain for a scene cut."""

SLOW = 1.0
"""Motion, in pixels at FLOW_SIDE, below which it may be camera noise."""

MOST_CONTRAST = 1.2
"""Maximum factor by which the contrast of a frame is raised.

Two unrelated pictures, blended by the share MOST, lose no more than 1 / sqrt(0.85^2 + 0.15^2) =
1.16. A higher limit would let a seam amplify itself from frame to frame.
"""

Field = NDArray[np.float32]


class Stabilizer:
    """Blends each painted frame with the previous one, moved along with the input.

    It blends only where the motion explains the input. Only one thread may use it.

    Motion is the optical flow of Kroeger et al. (Fast Optical Flow using Dense Inverse Search,
    2016). The tests of where to trust it follow Ruder et al. (Artistic Style Transfer for Videos,
    2016, section 4.1).
    """

    def __init__(self) -> None:
        cv2 = load_opencv()
        self._flow: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # The preset stops at a quarter of the size: too coarse to move brush strokes by.
        self._flow.setFinestScale(1)
        self._flow.setGradientDescentIterations(6)  # the preset's 12 take longer and change nothing
        self._before: Image | None = None  # the previous input, reduced
        # Float32 while frames are blended: rounding would keep some of the old paint forever.
        self._painted: Field | Image | None = None

    def __call__(self, source: Image, painted: Image, amount: float, kept: float = 0.0) -> Image:
        """Blend `painted`, (H, W, 3), with the previous result; return it at the same size.

        `source` is the input that was painted. Its size may differ from that of `painted`, and both
        may change from frame to frame. `amount`, from 0 to 1, is the steadiness; 0 keeps nothing.
        At least the share `kept`, from 0 to 1, of the previous result stays everywhere, except at a
        scene cut.
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
        # Cubic: linear interpolation, frame after frame, would blur the strokes away.
        moved = _moved(_fitted(last.astype(np.float32), new), flow, cv2.INTER_CUBIC)
        share = np.maximum(trust * np.float32(MOST * amount), np.float32(kept))
        share = cv2.resize(share, (width, height))
        steady = _with_contrast(cv2.blendLinear(moved, new, share, 1 - share), new)
        self._painted = steady
        result: Image = cv2.add(steady, 0, dtype=cv2.CV_8U)  # rounds and clips to 0..255
        return result

    def _motion(self, now: Image, before: Image) -> tuple[Field, Field]:
        """Return the flow from `now` to `before`, and how far to trust it.

        The flow, (h, w, 2), points from each pixel of `now` to where it was in `before`. The trust,
        (h, w), is from 0 to 1.
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
        # Over a neighborhood: else single pixels that happen to match would keep old paint.
        miss = cv2.dilate(cv2.blur(miss, (5, 5)), np.ones((5, 5), np.uint8))
        trust = np.clip(2 - miss / np.float32(TRUSTED), 0, 1)
        # Equation 5 of Ruder et al.: do not trust a flow that, there and back, does not end where
        # it began. Still pixels are tested too: next to a moving object, they would keep a trail.
        apart = _squared_length(flow + forth)
        trust[apart > 0.01 * (_squared_length(flow) + _squared_length(forth)) + 0.5] = 0
        height, width = trust.shape
        x, y = cv2.split(_origins(flow, width, height))
        trust[(x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)] = 0
        # Moving objects are painted with a halo, which must not stay behind either.
        return flow, cv2.blur(cv2.erode(trust, np.ones((5, 5), np.uint8)), (5, 5))


def _small(source: Image) -> Image:
    """Return `source` at the size for flow, with less noise."""
    cv2 = load_opencv()
    height, width = source.shape[:2]
    scale = min(1.0, FLOW_SIDE / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small: Image = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
    blurred: Image = cv2.GaussianBlur(small, (3, 3), 0)
    return blurred


def _fitted(picture: Any, other: Any) -> Any:
    """Return `picture` at the size of `other`."""
    if picture.shape == other.shape:
        return picture
    return load_opencv().resize(picture, (other.shape[1], other.shape[0]))


def _difference(image: Image, other: Image) -> Field:
    """Return the difference at each pixel, in levels, of the channel that differs most."""
    cv2 = load_opencv()
    red, green, blue = cv2.split(cv2.absdiff(image, other))
    difference: Field = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    return difference


def _squared_length(flow: Field) -> Field:
    x, y = load_opencv().split(flow)
    squared: Field = x * x + y * y
    return squared


def _moved(picture: Any, flow: Field, interpolation: int) -> Any:
    """Return `picture` with each pixel taken from where `flow`, of any size, says that it was."""
    cv2 = load_opencv()
    height, width = picture.shape[:2]
    at = _origins(flow, width, height)
    return cv2.remap(picture, at, None, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _origins(flow: Field, width: int, height: int) -> Field:
    """Return the x and y where each pixel was, (height, width, 2)."""
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
    """Return `steady` with strokes as strong as in `new`.

    The average of different strokes is paler than each of them. Heitz and Neyret (High-Performance
    By-Example Noise, 2018) divide by the loss for unrelated pictures; here the loss is measured.
    """
    cv2 = load_opencv()
    height, width = new.shape[:2]
    gain = np.sqrt((_local_variance(new) + 1) / (_local_variance(steady) + 1))
    gain = cv2.resize(np.clip(gain, 1, MOST_CONTRAST), (width, height))
    smooth = cv2.blur(steady, (7, 7))
    contrasted: Field = cv2.blendLinear(steady, smooth, gain, 1 - gain)
    return contrasted


def _local_variance(picture: Field) -> Field:
    """Return the local variance of strokes, from the green of every second pixel: it suffices."""
    cv2 = load_opencv()
    green = np.ascontiguousarray(picture[::2, ::2, 1])
    mean = cv2.blur(green, (5, 5))
    variance: Field = cv2.blur(cv2.blur(green * green, (5, 5)) - mean * mean, (9, 9))
    return variance
