"""Models that are small enough to be made by a test and follow the engine contract."""

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from engines import STYLE_WEIGHTS
from engines.model_card import FORMAT

CARD = {
    "streamstyle_format": FORMAT,
    "family": "test",
    "styles": json.dumps(
        [{"name": "negative", "title": "Negative", "artist": "a test", "year": "2026",
          "licence": "Apache-2.0"}]
    ),
    "training": json.dumps({"steps": 0}),
    "verification": json.dumps({}),
}  # fmt: skip


def write_inverter(path: Path, more: dict[str, str] | None = None) -> None:
    """Write a model that paints the negative: stylized = 255 - frame."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "x"], ["y"]),
        helper.make_node("Cast", ["y"], ["stylized"], to=TensorProto.UINT8),
    ]
    _write(path, nodes, [], CARD | (more or {}))


def write_tinter(path: Path) -> None:
    """Write a model with a style input: stylized = frame times `tint` (3,), at most 255."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "tint"], ["y"]),
        helper.make_node("Min", ["y", "white"], ["z"]),
        helper.make_node("Cast", ["z"], ["stylized"], to=TensorProto.UINT8),
    ]
    tint = helper.make_tensor_value_info("tint", TensorProto.FLOAT, [3])
    _write(path, nodes, [tint])


def write_two_strokes(path: Path) -> None:
    """Write a model of one style: fine strokes return the frame, large strokes 255 - frame."""
    write_two_styles(path, {**CARD, "strokes": json.dumps([0.6, 1.6])})


def write_two_styles(path: Path, card: dict[str, str] | None = None) -> None:
    """Write a model of two styles: "same" returns the frame, "negative" paints 255 - frame."""
    nodes = [
        helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Split", [STYLE_WEIGHTS], ["same", "negative"], num_outputs=2),
        helper.make_node("Sub", ["white", "x"], ["inverted"]),
        helper.make_node("Mul", ["x", "same"], ["a"]),
        helper.make_node("Mul", ["inverted", "negative"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
        helper.make_node("Round", ["y"], ["z"]),
        helper.make_node("Cast", ["z"], ["stylized"], to=TensorProto.UINT8),
    ]
    weights = helper.make_tensor_value_info(STYLE_WEIGHTS, TensorProto.FLOAT, [2])
    (negative,) = json.loads(CARD["styles"])
    styles = [{**negative, "name": "same", "title": "Same"}, negative]
    _write(path, nodes, [weights], card or {**CARD, "styles": json.dumps(styles)})


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    style_inputs: list[onnx.ValueInfoProto],
    card: dict[str, str] = CARD,
) -> None:
    shape = ["batch", "height", "width", 3]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, shape), *style_inputs],
        [helper.make_tensor_value_info("stylized", TensorProto.UINT8, shape)],
        [helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, card)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def write_segmentation(path: Path, channels_last: bool, classes: int, fixed: bool) -> None:
    """Write a segmentation network; the subject is what is brighter than ImageNet's mean color."""
    height, width = (32, 48) if fixed else ("height", "width")
    shape = [1, height, width, 3] if channels_last else [1, 3, height, width]
    axis = 3 if channels_last else 1
    nodes = [helper.make_node("ReduceMean", ["picture", "axis"], ["grey"], keepdims=1)]
    constants = [helper.make_tensor("axis", TensorProto.INT64, [1], [axis])]
    constants.append(helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0]))
    nodes.append(helper.make_node("Mul", ["grey", "ten"], ["score"]))
    if classes == 1:
        nodes.append(helper.make_node("Identity", ["score"], ["subject"]))
    else:
        nodes.append(helper.make_node("Neg", ["score"], ["background"]))
        parts = ["background", *["score"] * (classes - 1)]
        nodes.append(helper.make_node("Concat", parts, ["subject"], axis=axis))
    graph = helper.make_graph(
        nodes,
        "segmentation",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("subject", TensorProto.FLOAT, ["n", "a", "b", "c"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
