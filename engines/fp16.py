"""Convert graphs to half precision, for onnxruntime on GPUs.

onnxruntime computes in the types that a graph has. Our graphs have float32, however their weights
are stored. Only the operators that take most of the time are converted, with a cast before and
after each. Where one such operator follows another, onnxruntime drops the casts between them, which
loses nothing. Everything else stays in float32, above all normalization and statistics.

The converters that exist give no graph that loads. onnxruntime's own
(onnxruntime.transformers.float16) gives two nodes the same name where two operators that stay in
float32 read the same tensor, as normalizations do. onnxconverter-common's mixes the types of
weights that are stored in half precision.
"""

from collections.abc import Collection
from pathlib import Path

CONVOLUTIONS, PRODUCTS = "convolutions", "products"

_CONVOLUTIONS = ("Conv", "Relu", "Pad", "Resize", "AveragePool")

OPERATORS = {PRODUCTS: (*_CONVOLUTIONS, "MatMul"), CONVOLUTIONS: _CONVOLUTIONS}
"""Types of operators to compute in half precision, the larger set first.

PRODUCTS has matrix products and convolutions, as transformers need; CONVOLUTIONS has convolutions
and what stands between them. CONVOLUTIONS exists because covariances are matrix products too: they
sum over all pixels of a large frame, and their terms are smaller than the smallest number in half
precision.
"""

HALVED = ":half"
"""Suffix of a tensor's name for its copy in half precision."""

COMPUTED = ":computed"
"""Suffix of an output's name for what its operator computes in half precision."""


def in_half(graph: Path | bytes, operators: Collection[str]) -> bytes:
    """Return the ONNX model `graph` with `operators` in half precision.

    The inputs and outputs of the model keep their types.
    """
    import onnx  # slow to import, and only needed for half precision
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
            # The inputs of Resize after the picture give the scale and are always float32.
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
    del model.graph.value_info[:]  # its types are no longer right
    data: bytes = model.SerializeToString()
    return data
