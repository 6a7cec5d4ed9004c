"""Networks of others that find the subject of a picture, such as portrait matting, run by OpenVINO.

Any ONNX file with one picture as input, (1, 3, H, W) or (1, H, W, 3), of fixed or free size, and as
its first output either one channel, the opacity of the subject or its logit, or a channel for each
class, of which the first is the background.
"""

from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.openvino_backend import core
from streamstyle.errors import UserError
from streamstyle.frame import Image
from streamstyle.pixels import resized

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, by which nearly all such networks take their input."""

FREE_SIDE = 320
"""Pixels of the longer side, for a network of free size; a multiple of 32, as most need."""

FREE_MULTIPLE = 32


class Segmentation:
    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"there is no file {path}")
        try:
            self._model = core().read_model(path)
        except RuntimeError as error:
            raise UserError(f"{path} can't be read as an ONNX network") from error
        shape = self._model.inputs[0].partial_shape
        known = [side.get_length() if side.is_static else 0 for side in shape]
        if len(known) != 4 or len(self._model.inputs) != 1 or 3 not in (known[1], known[3]):
            raise UserError(
                f"{path} takes {self._model.inputs}; a network for masks takes one picture, "
                "(1, 3, H, W) or (1, H, W, 3)"
            )
        self._first = known[1] == 3  # channels first
        self._fixed = tuple(known[2:4] if self._first else known[1:3])
        self._takes_bytes = self._model.inputs[0].element_type == ov.Type.u8
        self._requests: dict[tuple[int, int], ov.InferRequest] = {}

    def __call__(self, image: Image) -> NDArray[np.uint8]:
        """How much of each place is the subject, (h, w), 0 to 255, at the network's own size."""
        height, width = self._size(*image.shape[:2])
        seen = resized(image, width, height)
        x = seen if self._takes_bytes else (seen.astype(np.float32) / 255 - MEAN) / STD
        x = (x.transpose(2, 0, 1) if self._first else x)[np.newaxis]
        request = self._request(x.shape, (height, width))
        request.infer({0: np.ascontiguousarray(x)})
        return _subject(request.get_output_tensor(0).data, self._first)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if all(self._fixed):
            return self._fixed[0], self._fixed[1]
        scale = FREE_SIDE / max(height, width)
        sides = [max(1, round(side * scale / FREE_MULTIPLE)) for side in (height, width)]
        return sides[0] * FREE_MULTIPLE, sides[1] * FREE_MULTIPLE

    def _request(self, shape: tuple[int, ...], size: tuple[int, int]) -> ov.InferRequest:
        if size not in self._requests:
            model = self._model.clone()
            model.reshape(list(shape))
            compiled = core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]


def _subject(output: NDArray[np.float32], channels_first: bool) -> NDArray[np.uint8]:
    if output.ndim == 4 and not channels_first and output.shape[3] <= output.shape[1]:
        output = output.transpose(0, 3, 1, 2)
    scores = output.reshape(-1, *output.shape[-2:]).astype(np.float32)
    if len(scores) == 1:
        (part,) = scores
        if part.min() < 0 or part.max() > 1:
            part = 1 / (1 + np.exp(-part))
    else:
        powers = np.exp(scores - scores.max(axis=0))
        part = 1 - powers[0] / powers.sum(axis=0)
    subject: NDArray[np.uint8] = np.round(255 * part).astype(np.uint8)
    return subject
