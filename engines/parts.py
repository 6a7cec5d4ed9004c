"""Models of several parts: one ONNX file holds one graph, of which each part is cut out.

What belongs to a part alone is named PART/NAME; what the parts share, such as `frame` and common
weights, has no part before its name.
"""

from collections.abc import Collection
from pathlib import Path

from engines.errors import EngineError

SEPARATOR = "/"


def part_name(part: str, name: str) -> str:
    """NAME of a part, as it is called in the whole graph."""
    return part + SEPARATOR + name


def cut_out(path: Path, part: str, wanted: Collection[str] | None = None) -> bytes:
    """The ONNX model of one part alone, whose inputs and outputs have no part before their name;
    with `wanted`, only what computes these outputs of it."""
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
