"""Operations on pictures (H, W, 3) with OpenCV.

OpenCV is loaded at its first use: most runs do not need it, and on a machine without a desktop it
may fail to load.
"""

from fractions import Fraction
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import UserError
from streamstyle.frame import Image

SAME_SHAPE = 1.01
"""Aspect ratios that differ by less are the same: encoders round sizes to even numbers."""


def resized(image: Image, width: int, height: int) -> Image:
    """Return the picture at another size; the same array if it already has that size."""
    if image.shape[:2] == (height, width):
        return image
    cv2 = load_opencv()
    # Averages avoid moire in smaller pictures; cubic curves avoid steps in larger ones.
    kind = cv2.INTER_AREA if width * height < image[..., 0].size else cv2.INTER_CUBIC
    return cast(Image, cv2.resize(image, (width, height), interpolation=kind))


def fitted(image: Image, width: int, height: int, pixel_aspect: Fraction = Fraction(1)) -> Image:
    """Return the whole picture at another size, without stretching it.

    If the aspect ratios differ, black bars are added left and right, or above and below.
    `pixel_aspect` is that of the image's pixels, relative to those of the result.
    """
    wide, high = image.shape[1] * pixel_aspect, image.shape[0]
    scale = min(width / wide, height / high)
    across, down = max(1, round(wide * scale)), max(1, round(high * scale))
    if max(width / across, height / down) < SAME_SHAPE:
        across, down = width, height
    image = resized(image, across, down)
    if (across, down) == (width, height):
        return image
    left, top = (width - across) // 2, (height - down) // 2
    borders = top, height - down - top, left, width - across - left
    cv2 = load_opencv()
    return cast(Image, cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=(0, 0, 0)))


def square(image: Image, pixel_aspect: Fraction) -> Image:
    """Return a picture whose pixels are `pixel_aspect` times as wide as high in square pixels.

    It keeps its height.
    """
    return resized(image, max(1, round(image.shape[1] * pixel_aspect)), image.shape[0])


def blended(image: Image, other: Image, alpha: float) -> Image:
    """Return `alpha` * `image` + (1 - `alpha`) * `other`; both have the same size."""
    return cast(Image, load_opencv().addWeighted(image, alpha, other, 1 - alpha, 0))


def recolored(painted: Image, original: Image) -> Image:
    """Return the brightness of `painted` with the colors of `original`; both have the same size."""
    cv2 = load_opencv()
    colors = cv2.cvtColor(original, cv2.COLOR_RGB2YCrCb)
    colors[..., 0] = cv2.cvtColor(painted, cv2.COLOR_RGB2YCrCb)[..., 0]
    return cast(Image, cv2.cvtColor(colors, cv2.COLOR_YCrCb2RGB))


def softened(
    grey: NDArray[np.uint8], width: int, height: int, radius: float
) -> NDArray[np.float32]:
    """Return a mask (h, w) from 0 to 255 as (height, width, 1) from 0 to 1, with soft edges.

    The edges are blurred by `radius` pixels.
    """
    cv2 = load_opencv()
    scaled = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(scaled.astype(np.float32) / 255, (0, 0), max(0.5, radius / 2))
    return cast(NDArray[np.float32], soft[..., np.newaxis])


def scaled(field: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return a field (H, W) at another size: averaged if smaller, else linearly interpolated."""
    cv2 = load_opencv()
    kind = cv2.INTER_AREA if width * height < field.size else cv2.INTER_LINEAR
    return cast(NDArray[np.float32], cv2.resize(field, (width, height), interpolation=kind))


def composed(inside: Image, outside: Image, part: NDArray[np.float32]) -> Image:
    """Return `inside` where `part` (H, W, 1) is 1, `outside` where it is 0; all of one size."""
    weights = part[..., 0]
    return cast(Image, load_opencv().blendLinear(inside, outside, weights, 1 - weights))


def transposed(image: Image) -> Image:
    """Return an image (H, W, 3) as (W, H, 3), mirrored at the diagonal."""
    return cast(Image, load_opencv().transpose(image))


def mirrored(image: Image, rows: bool, columns: bool) -> Image:
    """Return the image with its rows upside down, its columns from right to left, or both."""
    if not rows and not columns:
        return image
    return cast(Image, load_opencv().flip(image, -1 if rows and columns else int(columns)))


@cache
def load_opencv() -> Any:
    """Return the module cv2. Raises UserError if a desktop library that it needs is missing."""
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"OpenCV cannot be loaded ({error}); on Debian and Ubuntu run: apt-get install libgl1 "
            "libglib2.0-0, or anywhere: pip uninstall -y opencv-python && "
            "pip install opencv-python-headless"
        ) from error
    return cv2
