"""The graphs for TensorRT, computed with ONNX's reference evaluator or onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from engines import read_card
from engines.subgraphs import graph_of
from engines.tensorrt_.graph import HALVES, PRECISIONS, for_tensorrt
from tests.helpers.frames import MODELS, picture, psnr

HALF_DB = {"fp16": 58.0, "bf16": 48.0}
"""Minimum PSNR of a frame painted in half precision, compared with float32."""

GRAPHS = [(path, part) for path in MODELS for part in read_card(path).parts or (None,)]


def styled(graph: onnx.GraphProto) -> dict[str, Any]:
    """Return a frame and random style inputs for the graph."""
    random = np.random.default_rng(2)
    inputs: dict[str, Any] = {"frame": picture(33, 50)}
    for port in graph.input[1:]:
        shape = [side.dim_value or 1 for side in port.type.tensor_type.shape.dim]
        inputs[port.name] = random.uniform(0.01, 0.1, shape).astype(np.float32)
        if port.name == "transform":
            inputs[port.name] += np.eye(shape[1], dtype=np.float32)
    return inputs


def painted_on_cpu(graph: Path | bytes, inputs: dict[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


@pytest.mark.parametrize(("path", "part"), GRAPHS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_graph_is_one_that_tensorrt_knows(path: Path, part: str | None, precision: str) -> None:
    """Only the ends are bytes, and only convolutions and linear layers use half precision."""
    model = onnx.load_from_string(for_tensorrt(graph_of(read_card(path), part), precision))
    onnx.checker.check_model(model, full_check=True)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    assert {name for name, type_ in types.items() if type_ == TensorProto.UINT8} == {
        "frame",
        "stylized",
    }
    half = HALVES.get(precision, TensorProto.FLOAT)
    for node in graph.node:
        taken = {types[name] for name in node.input if name in types}
        if node.op_type == "Conv":
            assert taken == {half}
            assert all(name in types for name in node.input)
        elif node.op_type not in ("Cast", "MatMul"):
            assert not taken & set(HALVES.values()), node.op_type
    stored = {tensor.name for tensor in graph.initializer}
    assert not [n for n in graph.node if n.op_type == "Cast" and n.input[0] in stored]


@pytest.mark.parametrize(("path", "part"), GRAPHS)
def test_graph_paints_the_same_picture(path: Path, part: str | None) -> None:
    graph = graph_of(read_card(path), part)
    taken = for_tensorrt(graph, "fp32")
    inputs = styled(onnx.load_from_string(taken).graph)
    for given, expected in zip(
        painted_on_cpu(taken, inputs), painted_on_cpu(graph, inputs), strict=True
    ):
        if path.stem == "stytr2" and given.dtype == np.uint8:
            # Attention's sums in another order rounded one byte the other way with AVX2 alone.
            apart = np.abs(given.astype(int) - expected)
            assert apart.max() <= 1
            assert apart.mean() < 0.001
        else:
            assert np.array_equal(given, expected)


@pytest.mark.slow
@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize(("path", "part"), GRAPHS)
def test_half_precision_paints_nearly_the_same(
    path: Path, part: str | None, precision: str
) -> None:
    """Computed with ONNX's reference evaluator, which follows the types of the graph."""
    graph = graph_of(read_card(path), part)
    inputs = styled(onnx.load_from_string(for_tensorrt(graph, "fp32")).graph)
    taken = onnx.load_from_string(for_tensorrt(graph, precision))
    painted = ReferenceEvaluator(taken).run(["stylized"], inputs)[0]
    names = [port.name for port in taken.graph.output]
    expected = painted_on_cpu(graph, inputs)[names.index("stylized")]
    assert HALF_DB[precision] < psnr(painted, expected) < 99
