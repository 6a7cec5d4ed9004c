"""Models of which an engine runs a part: one ONNX file holds one graph, and the part is cut out.

Of models of several parts (WCT), what belongs to a part alone is named PART/NAME; what the parts
share, such as `frame` and common weights, has no part before its name.

Models that take a picture beside the frame (StyTr2, any-picture) are cut in two halves, between
which are the tensors that the card lists as `style_tensors`: all that painting needs of the
picture, so that they are computed once for a style, not once for a frame.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from engines.errors import EngineError
from engines.model_card import ModelCard

SEPARATOR = "/"

PICTURE = "picture"
"""The input of the picture to paint in the style of."""


def part_name(part: str, name: str) -> str:
    """NAME of a part, as it is called in the whole graph."""
    return part + SEPARATOR + name


def cut_out(path: Path, part: str, wanted: Collection[str] | None = None) -> bytes:
    """The ONNX model of one part alone, whose inputs and outputs have no part before their name;
    with `wanted`, only what computes these outputs of it.
    """
    import onnx  # slow, and only for models of several parts

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
    """The ONNX models from `picture` to `tensors`, and from all other inputs and `tensors` to
    `stylized`.
    """
    import onnx  # slow, and only for models that take pictures
    from onnx.utils import Extractor

    model = onnx.load(path)
    extractor = Extractor(model)
    style = extractor.extract_model([PICTURE], list(tensors))
    others = [port.name for port in model.graph.input if port.name != PICTURE]
    frame = extractor.extract_model([*others, *tensors], ["stylized"])
    return style.SerializeToString(), frame.SerializeToString()


def graph_of(card: ModelCard, part: str | None) -> Path | bytes:
    """What a backend paints frames by: the file, a part of it, or the half behind the picture."""
    if part is not None:
        return cut_out(card.path, part)
    return split(card.path, card.style_tensors)[1] if card.style_tensors else card.path
