"""A picture on its way through the pipeline."""

import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Picture of shape (H, W, 3) and type uint8, in RGB as a screen shows it."""


@dataclass(frozen=True)
class Still:
    """Data of an image file besides its colors; the painted file keeps it."""

    name: str
    """File name without its folder."""
    alpha: NDArray[np.uint8] | None
    """Opacity (H, W) from 0 to 255; None for an opaque picture."""
    icc_profile: bytes | None
    exif: bytes | None
    lost: tuple[str, ...] = ()
    """Notes on contents of the file that could not be kept; one sentence each."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and its time. Raises ValueError unless the image is uint8 of shape (H, W, 3)."""

    image: Image
    index: int
    """Number of the frame in the source, from 0."""
    pts_seconds: Fraction
    """Time to show the frame; exact, so that a file's timestamps come out unchanged."""
    duration_seconds: Fraction | None = None
    """Time to keep the frame on screen; None if the source does not say."""
    still: Still | None = None
    """Other data of an image file; None for a frame of a video."""
    captured_at_s: float = field(default_factory=time.perf_counter)
    """Time of capture on the clock of time.perf_counter."""

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                "a frame must be uint8 of shape (H, W, 3), "
                f"got {self.image.dtype} {self.image.shape}"
            )

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    def with_image(self, image: Image) -> Self:
        """Return a copy of the frame with another picture."""
        return type(self)(
            image,
            self.index,
            self.pts_seconds,
            self.duration_seconds,
            self.still,
            self.captured_at_s,
        )

    def __repr__(self) -> str:
        return f"Frame({self.index}: {self.width}x{self.height} at {float(self.pts_seconds):.3f} s)"
