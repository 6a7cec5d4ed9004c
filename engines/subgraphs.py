"""Cut the part that an engine runs out of a model; an ONNX file holds only one graph.

In a model of several parts (WCT), what belongs to one part only is named PART/NAME. What the parts
share, such as `frame` and common weights, has no such prefix.

A model that takes a picture beside the frame (StyTr2, any-picture) is cut into two halves. The
tensors between the halves, which the card lists as `style_tensors`, are all that painting needs
from the picture. So they are computed once for a style, not once for a frame.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from engines.errors import EngineError
from engines.model_card import ModelCard

SEPARATOR = "/"

PICTURE = "picture"
"""Name of the input that takes the picture whose style to paint in."""


def part_name(part: str, name: str) -> str:
    """Return the name that `name` of a part has in the whole graph."""
    return part + SEPARATOR + name


def cut_out(path: Path, part: str, wanted: Collection[str] | None = None) -> bytes:
    """Return the ONNX model of one part, with the prefix removed from all names.

    With `wanted`, the model has only these outputs and what computes them. Raises EngineError if
    the model has no such part.
    """
    import onnx  # slow to import, and only needed for models of several parts

    model = onnx.load(path)
    graph = model.graph
    prefix = part_name(part, "")
    outputs = [
        port
        for port in graph.output
        if port.name.startswith(prefix)
        and (wanted is None or port.name.removeprefix(prefix) in wanted)
    ]
    if not outputs:
        raise EngineError(f"{path} has no part {part}")
    needed = {port.name for port in outputs}
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    alone = onnx.helper.make_graph(
        nodes[::-1],
        part,
        [port for port in graph.input if port.name in needed],
        outputs,
        [tensor for tensor in graph.initializer if tensor.name in needed],
    )
    for node in alone.node:
        node.input[:] = [name.removeprefix(prefix) for name in node.input]
        node.output[:] = [name.removeprefix(prefix) for name in node.output]
    for tensor in (*alone.initializer, *alone.input, *alone.output):
        tensor.name = tensor.name.removeprefix(prefix)
    cut = onnx.helper.make_model(
        alone, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    data: bytes = cut.SerializeToString()
    return data


def split(path: Path, tensors: Sequence[str]) -> tuple[bytes, bytes]:
    """Cut the model at `tensors` and return both halves as ONNX models.

    The first computes `tensors` from `picture`; the second computes `stylized` from `tensors` and
    all other inputs.
    """
    import onnx  # slow to import, and only needed for models that take pictures
    from onnx.utils import Extractor

    model = onnx.load(path)
    extractor = Extractor(model)
    style = extractor.extract_model([PICTURE], list(tensors))
    others = [port.name for port in model.graph.input if port.name != PICTURE]
    frame = extractor.extract_model([*others, *tensors], ["stylized"])
    return style.SerializeToString(), frame.SerializeToString()


def graph_of(card: ModelCard, part: str | None) -> Path | bytes:
    """Return the graph that paints frames: the file, one part, or the half after the picture."""
    if part is not None:
        return cut_out(card.path, part)
    return split(card.path, card.style_tensors)[1] if card.style_tensors else card.path
