"""Models that take a picture beside the frame: one ONNX file holds one graph from `frame` and
`picture` to `stylized`, of which each half is cut out.

Between the halves are the tensors that the card lists as `style_tensors`: all that painting needs
of the picture, so that they are computed once for a style, not once for a frame.
"""

from collections.abc import Sequence
from pathlib import Path

from engines.card import ModelCard
from engines.parts import cut_out


def split(path: Path, tensors: Sequence[str]) -> tuple[bytes, bytes]:
    """The ONNX models from `picture` to `tensors`, and from `frame` and `tensors` to `stylized`."""
    import onnx  # slow, and only for models that take pictures
    from onnx.utils import Extractor

    extractor = Extractor(onnx.load(path))
    style = extractor.extract_model(["picture"], list(tensors))
    frame = extractor.extract_model(["frame", *tensors], ["stylized"])
    return style.SerializeToString(), frame.SerializeToString()


def graph_of(card: ModelCard, part: str | None) -> Path | bytes:
    """What a backend paints frames by: the file, a part of it, or the half behind the picture."""
    if part is not None:
        return cut_out(card.path, part)
    return split(card.path, card.style_tensors)[1] if card.style_tensors else card.path
