"""Convert graphs to the form that TensorRT takes.

Graphs are strongly typed, because TensorRT 11 has no weak typing. TensorRT knows bytes only as
inputs and outputs of a network, with a cast to or from floats right beside them, but our graphs
move bytes around before they cast them. In half precision, convolutions and linear layers take and
give 16-bit numbers. Everything else stays in float32 because the graph says so, above all
normalization, which overflows in float16.
"""

from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

HALVES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
PRECISIONS = ("fp32", *HALVES)

_OPSET = 22
"""First opset in which a convolution may be in bfloat16.

The operators of our graphs mean the same in it as in the opset that the graphs are written in.
"""

Shapes = dict[str, tuple[int, ...]]
"""Shape of each input by name; -1 for a side that may have any length."""


def for_tensorrt(graph: Path | bytes, precision: str) -> bytes:
    """Return an ONNX model for TensorRT that paints as `graph` does, in one of PRECISIONS."""
    model = onnx.load_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    model.opset_import[0].version = _OPSET
    _fold_stored_weights(model.graph)
    if precision in HALVES:
        _halve(model.graph, HALVES[precision])
    _keep_bytes_at_the_ends(model.graph)
    del model.graph.value_info[:]  # its types are no longer right
    data: bytes = model.SerializeToString()
    return data


def inputs_of(model: bytes) -> Shapes:
    """Return the shape of each input of an ONNX model."""
    graph = onnx.load_from_string(model).graph
    return {
        port.name: tuple(
            side.dim_value if side.HasField("dim_value") else -1
            for side in port.type.tensor_type.shape.dim
        )
        for port in graph.input
    }


def _fold_stored_weights(graph: onnx.GraphProto) -> None:
    """Replace weights that are stored in half precision, and their casts, by cast initializers."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in tensors:
            values = numpy_helper.to_array(tensors[node.input[0]])
            graph.initializer.append(_tensor(values, _target(node), node.output[0]))
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    _replace(graph.node, kept)


def _halve(graph: onnx.GraphProto, half: int) -> None:
    """Cast the inputs of convolutions and linear layers to `half`, and their outputs back."""
    weights = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }
    halved: dict[str, str] = {}
    nodes: list[NodeProto] = []

    def halved_name(name: str) -> str:
        if name not in halved:
            halved[name] = f"{name}/half"
            if name in weights:
                graph.initializer.append(_tensor(weights[name], half, halved[name]))
            else:
                nodes.append(_cast(name, half, halved[name]))
        return halved[name]

    for node in graph.node:
        if node.op_type == "Conv" or (node.op_type == "MatMul" and node.input[1] in weights):
            node.input[:] = [halved_name(name) for name in node.input]
            name, node.output[0] = node.output[0], f"{node.output[0]}/from half"
            nodes += [node, _cast(node.output[0], TensorProto.FLOAT, name)]
        else:
            nodes.append(node)
    _replace(graph.node, nodes)


def _keep_bytes_at_the_ends(graph: onnx.GraphProto) -> None:
    """Use floats where bytes were; they are only moved there, so the picture stays the same."""
    names = {"frame": "frame/floats", "stylized": "stylized/floats"}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        if node.op_type == "Cast" and _target(node) == TensorProto.UINT8:
            node.CopyFrom(_cast(node.input[0], TensorProto.FLOAT, node.output[0]))
    first = _cast("frame", TensorProto.FLOAT, names["frame"])
    last = _cast(names["stylized"], TensorProto.UINT8, "stylized")
    _replace(graph.node, [first, *graph.node, last])


def _cast(source: str, to: int, name: str) -> NodeProto:
    return helper.make_node("Cast", [source], [name], name=f"cast to {name}", to=to)


def _target(cast: NodeProto) -> int:
    return next(int(attribute.i) for attribute in cast.attribute if attribute.name == "to")


def _tensor(values: NDArray[Any], data_type: int, name: str) -> TensorProto:
    cast = values.astype(helper.tensor_dtype_to_np_dtype(data_type))
    return numpy_helper.from_array(cast, name)


def _replace(field: Any, values: list[Any]) -> None:
    """Replace the contents of `field`, a list of protobuf messages, by `values`."""
    copies = list(values)  # clearing the field would also clear messages in it
    del field[:]
    field.extend(copies)
