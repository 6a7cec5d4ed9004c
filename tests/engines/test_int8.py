"""Convolutions in 8 bits with OpenVINO."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from engines import STYLE_WEIGHTS, ZOO, EngineError, open_engine, read_card
from engines.openvino_.engine import core
from engines.openvino_.int8 import WEIGHT_STEPS, convolved, quantise
from export.common import calibration
from export.common.calibration import calibrated
from export.common.engine_file import Description, FrameGraph, export_graph, write_engine
from export.families.many_style.model import ManyStyle, ManyStyleConfig
from streamstyle import system
from tests.helpers.frames import grainy, picture, psnr
from tests.helpers.models import write_inverter

WIDTH, STYLES = 8, 2

UNTRAINED_DB = 15.0
"""Minimum PSNR of an untrained network, which turns noise into noise."""


EACH = [{STYLE_WEIGHTS: weights} for weights in np.eye(STYLES, dtype=np.float32)]


@pytest.fixture(scope="module")
def net() -> ManyStyle:
    torch.manual_seed(0)
    config = ManyStyleConfig(width=WIDTH, residual_blocks=1, decoder_width=4)
    return ManyStyle(config, STYLES).eval()


@pytest.fixture(scope="module")
def graph(net: ManyStyle) -> bytes:
    return export_graph(FrameGraph(net).eval()).SerializeToString()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(4):
        Image.fromarray(picture(96, 128, seed=number)[0]).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.slow
def test_bounds_hold_what_is_convolved(
    graph: bytes, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", UNTRAINED_DB)
    ranges, worst_db = calibrated(graph, EACH, photos)
    assert len(ranges) == 5  # encoder, two in the block, decoder, pixels
    first, second, *_ = ranges.values()
    assert -1 <= first[0] < first[1] <= 1  # pixels
    assert second[0] == 0  # after a ReLU
    assert second[1] > 1
    assert calibration.MIN_PSNR_DB < worst_db < calibration.BEST_DB


def test_what_costs_the_most_is_left_out_where_that_is_enough(
    graph: bytes, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", UNTRAINED_DB)
    every, before_db = calibrated(graph, EACH, photos)
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", before_db + 0.1)
    some, worst_db = calibrated(graph, EACH, photos)
    assert len(every) - calibration.LEFT_OUT <= len(some) < len(every)
    assert some.items() < every.items()
    assert worst_db > before_db


def test_net_that_needs_more_bits_gets_no_bounds(
    graph: bytes, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "INSIDE", 60.0)  # cuts off most of the values
    ranges, worst_db = calibrated(graph, EACH, photos)
    assert ranges == {}
    assert worst_db < calibration.MIN_PSNR_DB


def test_what_is_rounded(graph: bytes) -> None:
    model = core().read_model(graph)
    names = list(convolved(model))
    quantise(model, {names[1]: (0.0, 4.0), names[2]: (-1.0, 2.0)})
    rounded = [node for node in model.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]
    assert len(rounded) == 2  # only the two with bounds
    bounds = [tuple(_value(node.input_value(port)) for port in (1, 2)) for node in rounded]
    assert bounds[0] == (0.0, 4.0)
    assert bounds[1] == pytest.approx((-2.0 * 128 / 127, 2.0))
    weights = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    kernels = [_value_of(node.input_value(1)) for node in weights[1:3]]
    for kernel in kernels:
        steps = kernel / (np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / WEIGHT_STEPS)
        np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
        assert len(np.unique(steps.round())) > 50


def _value(output: ov.Output) -> float:
    return float(output.get_node().data)


def _value_of(output: ov.Output) -> np.ndarray:
    alone = ov.Model([ov.opset13.result(output)], [])
    return np.asarray(core().compile_model(alone, "CPU")([])[0])


@pytest.mark.slow
def test_engine_in_int8(
    net: ManyStyle, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", UNTRAINED_DB)
    path = tmp_path / "net.onnx"
    measured = write_engine(net, path, Description("many-style"), photos)
    card = read_card(path)
    assert len(card.ranges) == 5
    assert card.verification["int8_worst_psnr_db"] == measured["int8_worst_psnr_db"]
    style = {STYLE_WEIGHTS: np.array([1, 0], np.float32)}
    frames = picture(48, 64, seed=9)
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        exact = engine.paint(frames, style).astype(int)
    with open_engine(path, "openvino", "cpu", "int8") as engine:
        assert engine.precision == "int8"
        rounded = engine.paint(frames, style).astype(int)
    assert 0 < np.abs(rounded - exact).mean() < 10


def test_int8_by_itself_where_the_processor_has_avx2() -> None:
    has = "AVX2" in system.hardware()
    with open_engine(ZOO / "medium.onnx", "openvino", "cpu") as engine:
        assert (engine.precision == "int8") == has


PAINTED_BY_OLDER_CODE = """
import sys
import numpy as np
from pathlib import Path
from engines import open_engine, read_card
from engines.openvino_.int8 import quantise
from engines.openvino_.engine import core

card = read_card(Path(sys.argv[1]))
frame = np.load(sys.argv[2])
model = core().read_model(card.path)
quantise(model, card.ranges)
model.reshape({"frame": frame.shape})
in_float32 = {"INFERENCE_PRECISION_HINT": "f32"}  # as processors without VNNI have it
np.save(sys.argv[3], core().compile_model(model, "CPU", in_float32)([frame])["stylized"])
"""


@pytest.mark.slow
@pytest.mark.skipif("AVX2" not in system.hardware(), reason="this processor has no AVX2")
def test_nothing_is_cut_off_where_pairs_of_bytes_are_added_in_16_bits(tmp_path: Path) -> None:
    """Paints with OpenVINO's code for AVX2, in a process that is restricted to it."""
    path = ZOO / "classic.onnx"
    frames = grainy(path, 360, 640)
    np.save(tmp_path / "frame.npy", frames)
    files = [path, tmp_path / "frame.npy", tmp_path / "painted.npy"]
    subprocess.run(
        [sys.executable, "-c", PAINTED_BY_OLDER_CODE, *map(str, files)],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        check=True,
    )
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        exact = engine.paint(frames)
    assert psnr(np.load(tmp_path / "painted.npy"), exact) > 38  # with 127 steps it was 31


def test_model_without_bounds_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "inverter.onnx"
    write_inverter(path)
    with pytest.raises(EngineError, match=r"inverter\.onnx can't paint in int8"):
        open_engine(path, "openvino", "cpu", "int8")
    with pytest.raises(EngineError, match="onnxruntime computes in fp32 here, not in int8"):
        open_engine(path, "onnxruntime", "cpu", "int8")
