"""What OpenCV does to pictures, (H, W, 3), here.

It is loaded with the first use: most runs need none of it, and on a machine without a desktop it
may not load at all.
"""

from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import UserError
from streamstyle.frame import Image


def resized(image: Image, width: int, height: int) -> Image:
    """The picture at another size; the same array if it has that size already."""
    if image.shape[:2] == (height, width):
        return image
    cv2 = load_opencv()
    # Averages where there are fewer pixels, curves where there are more: no moire, no steps.
    kind = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cast(Image, cv2.resize(image, (width, height), interpolation=kind))


def fitted(image: Image, width: int, height: int) -> Image:
    """The picture at another size, whole and not stretched: black is put beside it, or above and
    below, where the shapes differ.
    """
    scale = min(width / image.shape[1], height / image.shape[0])
    across, down = round(image.shape[1] * scale), round(image.shape[0] * scale)
    image = resized(image, across, down)
    if (across, down) == (width, height):
        return image
    left, top = (width - across) // 2, (height - down) // 2
    borders = top, height - down - top, left, width - across - left
    cv2 = load_opencv()
    return cast(Image, cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=(0, 0, 0)))


def blended(image: Image, other: Image, alpha: float) -> Image:
    """`alpha` of `image` and the rest of `other`, of the same size."""
    return cast(Image, load_opencv().addWeighted(image, alpha, other, 1 - alpha, 0))


def recolored(painted: Image, original: Image) -> Image:
    """The light and dark of `painted` in the colors of `original`, of the same size."""
    cv2 = load_opencv()
    colors = cv2.cvtColor(original, cv2.COLOR_RGB2YCrCb)
    colors[..., 0] = cv2.cvtColor(painted, cv2.COLOR_RGB2YCrCb)[..., 0]
    return cast(Image, cv2.cvtColor(colors, cv2.COLOR_YCrCb2RGB))


def softened(
    grey: NDArray[np.uint8], width: int, height: int, radius: float
) -> NDArray[np.float32]:
    """(h, w), 0 to 255, as (height, width, 1), 0 to 1, with edges that are blurred by `radius`."""
    cv2 = load_opencv()
    scaled = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(scaled.astype(np.float32) / 255, (0, 0), max(0.5, radius / 2))
    return cast(NDArray[np.float32], soft[..., np.newaxis])


def scaled(field: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """(H, W) at another size: by means where that is smaller, else in straight lines."""
    cv2 = load_opencv()
    kind = cv2.INTER_AREA if width < field.shape[1] else cv2.INTER_LINEAR
    return cast(NDArray[np.float32], cv2.resize(field, (width, height), interpolation=kind))


def composed(inside: Image, outside: Image, part: NDArray[np.float32]) -> Image:
    """`inside` where `part`, (H, W, 1), is 1, `outside` where it is 0; all of the same size."""
    weights = part[..., 0]
    return cast(Image, load_opencv().blendLinear(inside, outside, weights, 1 - weights))


def transposed(image: Image) -> Image:
    """(H, W, 3) as (W, H, 3), mirrored at the diagonal."""
    return cast(Image, load_opencv().transpose(image))


def mirrored(image: Image, rows: bool, columns: bool) -> Image:
    """The rows upside down, the columns from right to left, or both."""
    if not rows and not columns:
        return image
    return cast(Image, load_opencv().flip(image, -1 if rows and columns else int(columns)))


@cache
def load_opencv() -> Any:
    """The module cv2. Raises UserError where a library of the desktop that it wants is missing."""
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"OpenCV cannot be loaded ({error}); on Debian and Ubuntu run: apt-get install libgl1 "
            "libglib2.0-0, or anywhere: pip uninstall -y opencv-python && "
            "pip install opencv-python-headless"
        ) from error
    return cv2
