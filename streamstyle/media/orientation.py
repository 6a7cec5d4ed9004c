"""Putting frames upright that a file says to turn."""

from dataclasses import dataclass
from typing import Self, cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

from streamstyle.frame import Image
from streamstyle.image_ops import mirrored, transposed


@dataclass(frozen=True)
class Orientation:
    """Exchange rows and columns, then mirror: any of the eight ways to put a picture."""

    transposed: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """From the display matrix, which maps (x, y) to (a x + c y, b x + d y)."""
        for side_data in cast(SideDataContainer, frame.side_data):
            if side_data.type == SideDataType.DISPLAYMATRIX:
                (a, b, _), (c, d, _), _ = np.frombuffer(bytes(side_data), np.int32).reshape(3, 3)
                if abs(int(b)) > abs(int(a)):  # a quarter turn; crooked angles stay as they are
                    return cls(True, mirror_rows=bool(b < 0), mirror_columns=bool(c < 0))
                return cls(False, mirror_rows=bool(d < 0), mirror_columns=bool(a < 0))
        return cls()

    def upright(self, image: Image) -> Image:
        """(H, W, 3) as it is to be seen."""
        if self.transposed:
            image = transposed(image)
        return mirrored(image, self.mirror_rows, self.mirror_columns)
