"""Models that paint in the style of any picture: one ONNX file holds one graph from `frame` and
`picture` to `stylized`, of which each half is cut out.

Between the halves are the tensors that the card lists as `style_tensors`: all that painting needs
of the picture, so that they are computed once for a style, not once for a frame.
"""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx.utils import Extractor

from engines.card import ModelCard


def split(path: Path, tensors: Sequence[str]) -> tuple[bytes, bytes]:
    """The ONNX models from `picture` to `tensors`, and from `frame` and `tensors` to `stylized`."""
    extractor = Extractor(onnx.load(path))
    style = extractor.extract_model(["picture"], list(tensors))
    frame = extractor.extract_model(["frame", *tensors], ["stylized"])
    return style.SerializeToString(), frame.SerializeToString()


def frame_graph(card: ModelCard) -> Path | bytes:
    """What paints a frame in a style: the whole file, unless it takes a picture."""
    return split(card.path, card.style_tensors)[1] if card.style_tensors else card.path
