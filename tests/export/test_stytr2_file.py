"""The engine file of StyTr2, and painting with it in the style of pictures."""

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from PIL import Image

from engines import EngineError, open_engine, read_card
from engines.style_encoder import style_of
from export.cli import main
from export.common.comparison import psnr
from export.errors import ExportError
from export.families.stytr2 import onnx_file
from export.families.stytr2.model import StyTr2
from export.families.stytr2.onnx_file import PictureGraph, write_stytr2_engine
from export.families.stytr2.train import load_trained_stytr2
from streamstyle import open_engine as open_styled
from streamstyle.live.engine_pool import choose
from streamstyle.styles import parse_style, read_style
from tests.helpers.stytr2 import OPTIONS, write_material

pytestmark = pytest.mark.slow

SIZES = (((37, 51), (64, 48)), ((16, 16), (19, 130)), ((64, 96), (40, 40)))
"""Sizes (height, width) of frames and pictures."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file `any.onnx`, written by the train command next to its training material."""
    folder = tmp_path_factory.mktemp("stytr2")
    write_material(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*OPTIONS.split(), "--out", "any.onnx"]) == 0
    return folder / "any.onnx"


def net_of(path: Path) -> StyTr2:
    return load_trained_stytr2(path.with_suffix(".run") / "checkpoint.pt")[0]


def test_card(trained: Path) -> None:
    card = read_card(trained)
    assert (card.family, card.styles) == ("stytr2", ())
    assert card.style_tensors == ("style_keys", "style_values")
    assert card.within(1920, 1080) == (739, 415)
    assert card.verification["worst_psnr_db"] > 45
    assert card.training["steps"] == 2
    assert "any picture" in repr(card)
    (command,) = card.training["commands"]
    assert command.startswith("streamstyle-export train stytr2 --photos PHOTOS --pictures PICTURES")
    assert "--heads 2" in command
    assert "--network network.safetensors" in command
    assert str(trained.parent).encode() not in trained.read_bytes()


def test_onnx_command(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_tracing(trained, monkeypatch)
    checkpoint = trained.with_suffix(".run") / "checkpoint.pt"
    photos = trained.parent / "photos"
    again = tmp_path / "again.onnx"
    assert main(["onnx", str(checkpoint), str(again), "--photos", str(photos)]) == 0
    assert read_card(again).training == read_card(trained).training


def test_card_says_what_it_started_from(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_tracing(trained, monkeypatch)
    monkeypatch.chdir(trained.parent)
    onward = tmp_path / "onward.onnx"
    more = f"--start-from any.onnx --learning-rate 0 --out {onward}"
    assert main([*OPTIONS.split(), *more.split()]) == 0
    (first,) = read_card(trained).training["commands"]
    before, last = read_card(onward).training["commands"]
    assert before == first
    assert "--start-from any.onnx" in last


def test_file_that_deviates_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_tracing(trained, monkeypatch)
    other = net_of(trained)
    with torch.no_grad():
        other.to_rgb[-1].convolution.bias += 0.1
    with pytest.raises(ExportError, match=r"differently from PyTorch.*nothing was written"):
        write_stytr2_engine(other, tmp_path / "any.onnx", {}, trained.parent / "photos")
    assert not list(tmp_path.iterdir())


def skip_tracing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the graph of a file instead of tracing one, which takes half a minute."""
    model = onnx.load(path)
    monkeypatch.setattr(onnx_file, "export_picture_graph", lambda _graph: model)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_halves_of_the_file_paint_as_pytorch_does(trained: Path, backend: str) -> None:
    graph = PictureGraph(net_of(trained))
    random = np.random.default_rng(0)
    with open_engine(trained, backend, "cpu", "fp32") as engine:
        for size, picture_size in SIZES:
            frames = random.integers(0, 256, (2, *size, 3), np.uint8)
            picture = random.integers(0, 256, (1, *picture_size, 3), np.uint8)
            with torch.no_grad():
                expected, *_ = graph(torch.from_numpy(frames), torch.from_numpy(picture))
            style = style_of(read_card(trained), picture)
            assert psnr(engine.paint(frames, style), expected.numpy()) > 45
        with pytest.raises(EngineError, match="style_keys"):
            engine.paint(frames)


def test_halves_make_the_whole(trained: Path) -> None:
    """Other programs can run the whole file with two inputs, the frame and the picture."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (1, 40, 72, 3), np.uint8)
    picture = random.integers(0, 256, (1, 50, 30, 3), np.uint8)
    session = onnxruntime.InferenceSession(trained)
    (whole,) = session.run(None, {"frame": frames, "picture": picture})
    with open_engine(trained, "onnxruntime", "cpu", "fp32") as engine:
        painted = engine.paint(frames, style_of(read_card(trained), picture))
    assert np.abs(painted.astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 8, 64, 3), "64x8 is too small"), ((2, 32, 64, 3), "from one picture, got 2")],
)
def test_pictures_that_are_no_style(trained: Path, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        style_of(read_card(trained), np.zeros(shape, np.uint8))


def test_model_that_takes_no_picture(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match="styles of its own"):
        style_of(read_card(inverter_path), np.zeros((1, 32, 64, 3), np.uint8))


def test_pictures_are_styles_of_the_file(trained: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        spots = random.integers(0, 256, (8, 12, 3), np.uint8)
        Image.fromarray(spots).resize((120, 80)).save(tmp_path / f"{name}.png")
    a, b = (f"{trained}:{tmp_path / name}.png" for name in ("a", "b"))
    frames = random.integers(0, 256, (1, 40, 72, 3), np.uint8)
    painted = {}
    for style in (a, b, f"{a}+{a}", f"{a}+{b}", f"{a}=500+{b}"):
        with open_styled(style, "openvino", "cpu", "fp32") as engine:
            engine.prepare(40, 72)
            painted[style] = engine.paint(frames).astype(int)
    assert painted[a].shape == frames.shape

    def distance(one: str, other: str) -> float:
        return float(np.abs(painted[one] - painted[other]).mean())

    assert distance(a, b) > 0
    assert distance(a, f"{a}+{a}") < 0.1
    for style in (a, b):
        assert distance(style, f"{a}+{b}") > 0
    assert distance(a, f"{a}=500+{b}") < 0.2 * distance(a, b)
    assert choose(parse_style(a)).model != choose(parse_style(b)).model  # no gliding between


def test_each_picture_of_a_mix_gives_its_share_of_patches(trained: Path, tmp_path: Path) -> None:
    for name, color in (("a", (250, 40, 10)), ("b", (10, 90, 200))):
        Image.new("RGB", (96, 64), color).save(tmp_path / f"{name}.png")
    a, b = (f"{trained}:{tmp_path / name}.png" for name in ("a", "b"))
    patches = [read_style(parse_style(style))[1]["style_keys"].shape[3] for style in (a, b)]
    mixed = read_style(parse_style(f"{a}=3+{b}"))[1]
    assert {array.shape[3] for array in mixed.values()} == {patches[0] + round(patches[0] / 3)}
