"""Turn frames upright as their file demands."""

from dataclasses import dataclass
from typing import Self

import av
import numpy as np
from av.sidedata.sidedata import Type

from streamstyle.frame import Image
from streamstyle.image_ops import mirrored, transposed
from streamstyle.media.side_data import side_data


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of a picture: swap rows and columns, then mirror."""

    transposed: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Read the display matrix of a frame, which maps (x, y) to (a x + c y, b x + d y)."""
        matrix = side_data(frame).get(Type.DISPLAYMATRIX)
        if matrix is None:
            return cls()
        (a, b, _), (c, d, _), _ = np.frombuffer(matrix, np.int32).reshape(3, 3)
        if abs(int(b)) > abs(int(a)):  # a quarter turn; other angles are rounded
            return cls(True, mirror_rows=bool(b < 0), mirror_columns=bool(c < 0))
        return cls(False, mirror_rows=bool(d < 0), mirror_columns=bool(a < 0))

    def upright(self, image: Image) -> Image:
        """Return an image (H, W, 3) turned upright."""
        if self.transposed:
            image = transposed(image)
        return mirrored(image, self.mirror_rows, self.mirror_columns)
