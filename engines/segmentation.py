"""Third-party networks that find the subject of a picture, such as portrait matting.

Any ONNX file works if it takes one picture, (1, 3, H, W) or (1, H, W, 3), of fixed or free size.
Its first output has either one channel, the opacity of the subject or its logit, or one channel for
each class, the first of which is the background.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.graphs import Placement, open_graph

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""ImageNet's mean and standard deviation, with which nearly all such networks normalize."""

FREE_SIDE = 320
"""Longer side in pixels for a network of free size; a multiple of 32, as most networks need."""

FREE_MULTIPLE = 32

MOST = 8192
"""Maximum pixels per side of a fixed size."""


class Segmentation:
    """A segmentation network, used by one thread at a time."""

    def __init__(self, path: Path, placement: Placement = Placement()) -> None:
        """Open the network in the file `path`.

        Raises EngineError if the file is no segmentation network or can't run there.
        """
        if not path.is_file():
            raise EngineError(f"there is no file {path}")
        self._path = path
        self._graph = open_graph(path, placement)
        shapes = {name: port.shape for name, port in self._graph.inputs.items()}
        fits = [len(s) == 4 and 3 in (s[1], s[3]) and max(s) <= MOST for s in shapes.values()]
        if fits != [True]:
            raise EngineError(
                f"{path} takes {shapes}; a network for masks takes one picture, (1, 3, H, W) or "
                f"(1, H, W, 3), of at most {MOST} pixels a side"
            )
        ((self._name, port),) = self._graph.inputs.items()
        shape = port.shape
        self._first = shape[1] == 3  # channels first
        self._fixed = shape[2:4] if self._first else shape[1:3]
        self._takes_bytes = port.dtype == np.uint8

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) at which the network takes a picture of this size."""
        if all(self._fixed):
            return self._fixed[0], self._fixed[1]
        scale = FREE_SIDE / max(height, width)
        sides = [max(1, round(side * scale / FREE_MULTIPLE)) for side in (height, width)]
        return sides[0] * FREE_MULTIPLE, sides[1] * FREE_MULTIPLE

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the opacity of the subject at each place of `picture`: (h, w), 0 to 255.

        `picture` is (H, W, 3), RGB, at a size that `size` returned. The result has the network's
        own output size.
        """
        x = picture if self._takes_bytes else (picture.astype(np.float32) / 255 - MEAN) / STD
        x = (x.transpose(2, 0, 1) if self._first else x)[np.newaxis]
        outputs = self._graph({self._name: np.ascontiguousarray(x)})
        output: NDArray[Any] = next(iter(outputs.values()), np.empty(0))
        if output.ndim < 2 or not output.size or output.dtype.kind not in "fiub":
            raise EngineError(f"{self._path} returns no mask: {output.dtype} {output.shape}")
        return _subject(output, self._first)


def _subject(output: NDArray[np.float32], channels_first: bool) -> NDArray[np.uint8]:
    if output.ndim == 4 and not channels_first and output.shape[3] <= output.shape[1]:
        output = output.transpose(0, 3, 1, 2)
    scores = output.reshape(-1, *output.shape[-2:]).astype(np.float32)
    if len(scores) == 1:
        (opacity,) = scores
        if opacity.min() < 0 or opacity.max() > 1:
            opacity = 1 / (1 + np.exp(-opacity))
    else:
        powers = np.exp(scores - scores.max(axis=0))
        opacity = 1 - powers[0] / powers.sum(axis=0)
    subject: NDArray[np.uint8] = np.round(255 * opacity).astype(np.uint8)
    return subject
