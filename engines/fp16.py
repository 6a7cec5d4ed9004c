"""Graphs that compute in half precision, for onnxruntime on GPUs: it computes in the types that a
graph has, and ours have float32, whatever their weights are stored in.

Only what takes the time is in half precision, with a cast before and behind; where one such
operator follows another, onnxruntime drops the casts between them, which lose nothing. Everything
else, normalization and statistics first of all, stays in float32. onnxruntime's own converter
(onnxruntime.transformers.float16) gives one name to two nodes where two of those that stay in
float32 read the same tensor, as normalizations do, and onnxconverter-common's mixes the types of
weights that are stored in half precision, so neither gives a graph that loads.
"""

from collections.abc import Collection
from pathlib import Path

CONVOLUTIONS, PRODUCTS = "convolutions", "products"

_CONVOLUTIONS = ("Conv", "Relu", "Pad", "Resize", "AveragePool")

OPERATORS = {PRODUCTS: (*_CONVOLUTIONS, "MatMul"), CONVOLUTIONS: _CONVOLUTIONS}
"""What is in half precision, the most first: matrix products as well as convolutions, as
transformers need it, or convolutions only, with what stands between one and the next. Covariances
are matrix products, too, and of a large frame's pixels; their terms are smaller than the smallest
number that half precision has."""

HALVED = ":half"
"""Behind the name of a tensor: the same in half precision."""

COMPUTED = ":computed"
"""Behind the name of what an operator gives in half precision."""


def in_half(graph: Path | bytes, operators: Collection[str]) -> bytes:
    """The ONNX model `graph` with `operators` in half precision; its inputs and outputs stay as
    they are.
    """
    import onnx  # slow, and only for a precision that is asked for
    from onnx import TensorProto, helper

    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    model = onnx.load_model_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    model = onnx.shape_inference.infer_shapes(model)
    ports = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    floats = {p.name for p in ports if p.type.tensor_type.elem_type == single}
    floats |= {t.name for t in model.graph.initializer if t.data_type == single}
    nodes = []
    halved: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in operators or not floats.issuperset(node.output):
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            # What Resize has behind the picture says how much, and is in float32 always.
            if name not in floats or (node.op_type == "Resize" and index > 0):
                continue
            node.input[index] = name + HALVED
            if name not in halved:
                halved.add(name)
                nodes.append(helper.make_node("Cast", [name], [name + HALVED], to=half))
        nodes.append(node)
        for index, name in enumerate(node.output):
            node.output[index] = name + COMPUTED
            nodes.append(helper.make_node("Cast", [name + COMPUTED], [name], to=single))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # of types that are no longer so
    data: bytes = model.SerializeToString()
    return data
