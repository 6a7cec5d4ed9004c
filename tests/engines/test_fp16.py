"""Half precision: the graph for onnxruntime on GPUs, and which models are refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch")

from engines import EngineError, Frames, open_engine, open_part, read_card
from engines.fp16 import CONVOLUTIONS, HALVED, OPERATORS, PRODUCTS, in_half
from engines.subgraphs import graph_of
from export.common.calibration import MIN_PSNR_DB
from export.common.engine_file import write_checked
from export.common.precisions import Sample, other_precisions, rounded
from tests.helpers.frames import MODELS, grainy, inputs_for, psnr
from tests.helpers.models import CARD, write_inverter

SIZE = (120, 160)

SHIPPED_DB = 54.0
"""Minimum PSNR of the models that ship; on photographs they reach 57 to 66."""

NORMALISING = {"InstanceNormalization", "LayerNormalization", "ReduceMean", "ReduceSum", "Softmax"}


def painted(graph: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.parametrize("half", OPERATORS)
@pytest.mark.parametrize("path", [p for p in MODELS if p.stem != "wct"], ids=lambda path: path.stem)
def test_what_ships_paints_the_same_picture(path: Path, half: str) -> None:
    graph = in_half(graph_of(read_card(path), None), OPERATORS[half])
    frames = grainy(path, *SIZE)
    with open_engine(path, "onnxruntime", "cpu", "fp32") as engine:
        expected = engine.paint(frames, inputs_for(path))
    inputs = {"frame": frames, **inputs_for(path)}
    assert SHIPPED_DB < psnr(painted(rounded(graph), inputs)["stylized"], expected) < 90


def test_statistics_of_many_pixels_stay_exact() -> None:
    """The sums would overflow in half precision, so they have to be computed in float32."""
    (path,) = [path for path in MODELS if path.stem == "wct"]
    part = read_card(path).parts[0]
    graph = in_half(graph_of(read_card(path), part), OPERATORS[read_card(path).half])
    frames = grainy(path, 480, 640)
    with open_part(path, part, "onnxruntime", "cpu", "fp32") as engine:
        style = {n: np.zeros(shape, np.float32) for n, shape in engine.style_inputs.items()}
        style |= {"masks": np.ones((1, 1, 1), np.float32)}
        exact = engine.run(frames, style)
    found = painted(rounded(graph), {"frame": frames, **style})
    for name in ("content_mean", "content_covariance"):
        difference = np.abs(found[name] - exact[name]).max()
        assert 0 < difference < 0.005 * np.abs(exact[name]).max()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_what_is_in_half_precision(path: Path) -> None:
    card = read_card(path)
    part = card.parts[0] if card.parts else None
    model = onnx.load_model_from_string(in_half(graph_of(card, part), OPERATORS[PRODUCTS]))
    onnx.checker.check_model(model, full_check=True)
    halved = [n for n in model.graph.node if any(i.endswith(HALVED) for i in n.input)]
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert all(node in halved for node in convolutions)
    assert not NORMALISING & {node.op_type for node in halved}
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


FACTOR = 300.0
"""A factor that takes a light pixel out of the range of half precision."""


def _brighten(kind: str) -> list[onnx.NodeProto]:
    """Return nodes that multiply x (N, H, W, 3) by FACTOR into y, with a MatMul or a Conv."""
    matrix = np.eye(3, dtype=np.float32) * FACTOR
    if kind == "MatMul":
        weights = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(matrix))
        return [weights, helper.make_node("MatMul", ["x", "w"], ["y"])]
    kernel = numpy_helper.from_array(matrix[:, :, None, None])
    return [
        helper.make_node("Constant", [], ["w"], value=kernel),
        helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w"], ["bright"]),
        helper.make_node("Transpose", ["bright"], ["y"], perm=[0, 2, 3, 1]),
    ]


def _model(nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """Return a model around `nodes`, which take x and give y, FACTOR times the painting."""
    shape = ["batch", "height", "width", 3]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
            *nodes,
            helper.make_node("Div", ["y", "factor"], ["z"]),
            helper.make_node("Round", ["z"], ["rounded"]),
            helper.make_node("Cast", ["rounded"], ["stylized"], to=TensorProto.UINT8),
        ],
        "test",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("stylized", TensorProto.UINT8, shape)],
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [FACTOR])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _written(path: Path, nodes: Sequence[onnx.NodeProto]) -> None:
    frames: Frames = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    samples = [Sample(frames, {}, frames), Sample(frames[:, :16, :16], {}, 255 - frames)]
    write_checked(
        _model(nodes),
        {"family": "test", "styles": CARD["styles"], "training": "{}"},
        path,
        lambda trial: other_precisions(trial, samples),
    )


def test_too_large_a_number_is_seen_although_the_cpu_could_hold_it(tmp_path: Path) -> None:
    frames: Frames = np.full((1, 16, 16, 3), 250, np.uint8)
    graph = in_half(_model(_brighten("Conv")).SerializeToString(), OPERATORS[CONVOLUTIONS])
    assert np.array_equal(painted(graph, {"frame": frames})["stylized"], frames)
    assert not np.array_equal(painted(rounded(graph), {"frame": frames})["stylized"], frames)


def test_fewer_layers_are_in_half_precision_where_more_are_too_coarse(tmp_path: Path) -> None:
    _written(tmp_path / "net.onnx", _brighten("MatMul"))
    card = read_card(tmp_path / "net.onnx")
    assert card.half == CONVOLUTIONS
    assert "fp16" not in card.refused
    assert card.verification["fp16_worst_psnr_db"] > MIN_PSNR_DB


def test_precision_that_is_too_coarse_is_refused(tmp_path: Path) -> None:
    _written(tmp_path / "net.onnx", _brighten("Conv"))
    card = read_card(tmp_path / "net.onnx")
    assert "fp16" in card.refused
    assert card.verification["fp16_worst_psnr_db"] < MIN_PSNR_DB
    with pytest.raises(EngineError, match=r"net\.onnx paints another picture in fp16.* dB;"):
        open_engine(tmp_path / "net.onnx", "onnxruntime", "cuda", "fp16")


def test_refused_precision_is_not_taken_by_itself_either(tmp_path: Path) -> None:
    verification = {"refused": ["bf16"], "bf16_worst_psnr_db": 12.3}
    write_inverter(tmp_path / "net.onnx", {"verification": json.dumps(verification)})
    with open_engine(tmp_path / "net.onnx", "openvino", "cpu") as engine:
        assert engine.precision == "fp32"
    with pytest.raises(EngineError, match=r"bf16 than in float32.* 12\.3 dB"):
        open_engine(tmp_path / "net.onnx", precision="bf16")
