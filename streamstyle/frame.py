"""A picture on its way through the pipeline."""

import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3), RGB as a screen shows it."""


@dataclass(frozen=True)
class Still:
    """What an image file holds beside its colours; it goes into the painted file."""

    name: str
    """The file's name without its folder."""
    alpha: NDArray[np.uint8] | None
    """(H, W); None for an opaque picture."""
    icc_profile: bytes | None
    exif: bytes | None
    lost: tuple[str, ...] = ()
    """What else the file holds and could not be kept, one sentence each."""


@dataclass(frozen=True, eq=False)
class Frame:
    image: Image
    index: int
    """Counts from 0 in the order of the source."""
    pts_seconds: Fraction
    """When to show it; exact, so that a file's timestamps come out as they went in."""
    duration_seconds: Fraction | None = None
    """How long to show it; None where the source does not say."""
    still: Still | None = None
    """None for a frame of a video."""
    captured_at_s: float = field(default_factory=time.perf_counter)
    """On the clock of time.perf_counter."""

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                f"a frame is uint8 of shape (H, W, 3), got {self.image.dtype} {self.image.shape}"
            )

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    def with_image(self, image: Image) -> Self:
        """The same moment with another picture."""
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
