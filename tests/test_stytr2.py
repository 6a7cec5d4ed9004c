"""StyTr2: the net, its training, and the engine file that comes of it."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from PIL import Image  # noqa: E402
from torch.nn import functional  # noqa: E402

from engines import EngineError, open_engine, read_card  # noqa: E402
from engines.style_image import style_of  # noqa: E402
from export import stytr2_file  # noqa: E402
from export import train_stytr2 as training  # noqa: E402
from export.cli import main  # noqa: E402
from export.engine_file import psnr  # noqa: E402
from export.errors import ExportError  # noqa: E402
from export.loss_network import LossNetwork  # noqa: E402
from export.models.stytr2 import (  # noqa: E402
    StyTr2,
    StyTr2Config,
    interpolation_matrix,
    pooling_matrix,
    sinusoidal_encoding,
)
from export.stytr2_file import PictureGraph, write_stytr2_engine  # noqa: E402
from export.stytr2_loss import (  # noqa: E402
    StyTr2Loss,
    StyTr2LossConfig,
    normalised,
    some_of_each,
)
from export.train_stytr2 import (  # noqa: E402
    StyTr2TrainConfig,
    load_trained_stytr2,
    train_stytr2,
)
from streamstyle import UserError  # noqa: E402
from streamstyle import open_engine as open_styled  # noqa: E402
from streamstyle.live.styles import choose  # noqa: E402
from streamstyle.styles import read_style  # noqa: E402
from tests.nets import small_vgg, write_training_material  # noqa: E402

TINY = StyTr2Config(
    width=32,
    heads=4,
    feed_forward=48,
    content_encoder_layers=1,
    style_encoder_layers=1,
    decoder_layers=2,
    decoder_width=16,
)

SIZES = (((37, 51), (64, 48)), ((16, 16), (19, 130)), ((64, 96), (40, 40)))
"""(height, width) of frames and pictures."""

LAYERS = ("relu1_1", "relu2_1")


def net(config: StyTr2Config = TINY) -> StyTr2:
    torch.manual_seed(0)
    return StyTr2(config).eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(16, 16), (48, 64), (37, 50), (17, 129)])
@pytest.mark.parametrize("picture", [(16, 16), (61, 33)])
def test_every_size_is_kept(size: tuple[int, int], picture: tuple[int, int]) -> None:
    with torch.no_grad():
        assert net()(noise(2, 3, *size), noise(1, 3, *picture)).shape == (2, 3, *size)


def test_both_pictures_count() -> None:
    photos, pictures = noise(2, 3, 32, 40), noise(2, 3, 40, 32, seed=1) ** 4
    made = net()
    with torch.no_grad():
        painted = made(photos[:1], pictures[:1])
        assert (made(photos[1:], pictures[:1]) - painted).abs().max() > 0.01
        assert (made(photos[:1], pictures[1:]) - painted).abs().max() > 1e-4
        assert (made(photos[:1], 1 - pictures[:1]) - painted).abs().max() > 0.01


def test_each_frame_of_a_batch_in_a_style_of_its_own() -> None:
    photos, pictures = noise(2, 3, 32, 40), noise(2, 3, 40, 32, seed=1)
    made = net()
    with torch.no_grad():
        together = made(photos, pictures)
        apart = torch.cat([made(photos[i : i + 1], pictures[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
        in_one = made(photos, pictures[:1])
    torch.testing.assert_close(in_one[:1], together[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (18, 18), (17, 40), (36, 54), (135, 240)])
def test_pooling_and_interpolation_are_pytorchs(height: int, width: int) -> None:
    x = noise(2, 3, height, width)
    pooled = pooling_matrix(height, x) @ x @ pooling_matrix(width, x).T
    torch.testing.assert_close(pooled, functional.adaptive_avg_pool2d(x, 18))
    large = interpolation_matrix(height, x) @ pooled @ interpolation_matrix(width, x).T
    expected = functional.interpolate(pooled, (height, width), mode="bilinear")
    torch.testing.assert_close(large, expected, rtol=1e-4, atol=1e-5)


def test_the_content_decides_where_it_is_whatever_its_resolution() -> None:
    """Equation 3 at two resolutions of one picture, beside the sines of its patches."""
    made = net()
    small = noise(1, 32, 18, 18)
    large = functional.interpolate(small, scale_factor=3.0, mode="nearest")
    with torch.no_grad():
        encoded, of_large = (made.content_aware_encoding(x) for x in (small, large))
    expected = functional.interpolate(encoded, scale_factor=3.0, mode="bilinear")
    torch.testing.assert_close(of_large, expected, rtol=1e-4, atol=1e-5)
    sines, of_large = (sinusoidal_encoding(x) for x in (small, large))
    expected = functional.interpolate(sines, scale_factor=3.0, mode="bilinear")
    assert (of_large - expected).abs().mean() > 0.2


def test_sinusoidal_encoding_tells_every_place() -> None:
    places = sinusoidal_encoding(noise(1, 32, 9, 14)).flatten(2)[0].T
    assert torch.pdist(places).min() > 0.1
    with torch.no_grad():
        photo, picture = noise(1, 3, 32, 40), noise(1, 3, 32, 32)
        painted = net(replace(TINY, encoding="sinusoidal"))(photo, picture)
    assert (painted - net()(photo, picture)).abs().max() > 1e-3


@pytest.mark.parametrize("number", range(4))
def test_each_attention_of_the_decoder_is_equation_5(number: int) -> None:
    """Against its definition."""
    made = net()
    layer = made.decoder[number // 2]
    attention = (layer.first, layer.second)[number % 2]
    seen = {}
    attention.register_forward_hook(lambda _m, inputs, output: seen.update(x=inputs[0], y=output))
    made.style_encoder[-1].register_forward_hook(lambda _m, _i, output: seen.update(style=output))
    with torch.no_grad():
        made(noise(1, 3, 32, 32), noise(1, 3, 40, 24, seed=1))
        queries = attention.query(seen["x"])[0]
        keys, values = attention.key(seen["style"])[0], attention.value(seen["style"])[0]
        heads = []
        for first in range(0, TINY.width, 8):
            of_head = slice(first, first + 8)
            weights = torch.softmax(queries[:, of_head] @ keys[:, of_head].T / 8**0.5, dim=-1)
            heads.append(weights @ values[:, of_head])
        expected = attention.out(torch.cat(heads, dim=-1))
    torch.testing.assert_close(seen["y"][0], expected, rtol=1e-4, atol=1e-5)


def test_places_count_in_the_encoder_and_in_the_decoder() -> None:
    made = net()
    with torch.no_grad():
        keys, values = made.style_of(noise(1, 3, 32, 32))
        content, position = made.content_of(noise(1, 3, 32, 40))
        painted = made.decode(content, position, keys, values)
        assert (made.decode(content, 0 * position, keys, values) - painted).abs().max() > 1e-3
        made.encoding.weight *= 0
        assert (made.content_of(noise(1, 3, 32, 40))[0] - content).abs().max() > 1e-3


def test_a_step_paints_each_in_another_style_and_some_in_their_own() -> None:
    made = net()
    content, style = noise(5, 3, 24, 24), noise(5, 3, 24, 24, seed=1)
    with torch.no_grad():
        painted, repainted = training._painted(made, content, style)
        torch.testing.assert_close(painted, made(content, style), rtol=1e-4, atol=1e-5)
        own = some_of_each(content, style)
        torch.testing.assert_close(repainted, made(own, own), rtol=1e-4, atol=1e-5)
    assert torch.equal(own, torch.cat([content[:2], style[3:]]))


def test_losses_are_equations_9_to_12() -> None:
    config = StyTr2LossConfig(content_layers=LAYERS, style_layers=LAYERS, balanced=False)
    network = LossNetwork(small_vgg(), LAYERS, padding="reflect")
    painted, content, style = (noise(2, 3, 24, 24, seed=seed) for seed in range(3))
    repainted = noise(2, 3, 24, 24, seed=4)
    originals = torch.stack([content[0], style[1]])
    terms = StyTr2Loss(config, network)(painted, repainted, content, style)
    seen, of_content, of_style, again, wanted = (
        network(x) for x in (painted, content, style, repainted, originals)
    )

    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().mean()

    expected = dict.fromkeys(terms, 0.0)
    for layer in LAYERS:
        x, c, s = seen[layer], of_content[layer], of_style[layer]
        expected["content"] += 10 / 2 * distance(normalised(x), normalised(c)).item()
        for statistic in (torch.mean, lambda y, dim: (y.var(dim, unbiased=False) + 1e-5).sqrt()):
            expected["style"] += 7 / 2 * distance(statistic(x, (2, 3)), statistic(s, (2, 3))).item()
        expected["feature_identity"] += 2 * 1 / 2 * distance(again[layer], wanted[layer]).item()
    expected["identity"] = 2 * 50 * distance(repainted, originals).item()
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-4)
    features = normalised(seen["relu2_1"])
    torch.testing.assert_close(features.mean((2, 3)), torch.zeros(2, 8), rtol=0, atol=1e-5)


def test_balanced_losses_do_not_depend_on_the_scale_of_features() -> None:
    config = StyTr2LossConfig(content_layers=LAYERS, style_layers=LAYERS)
    weights = small_vgg()
    scaled = {name: 10 * value if "conv1_1" in name else value for name, value in weights.items()}
    scaled |= {name: 10 * value for name, value in weights.items() if name.endswith("bias")}
    scaled["conv0.bias"] = weights["conv0.bias"]
    pictures = [noise(2, 3, 24, 24, seed=seed) for seed in range(4)]
    terms, of_scaled = (
        StyTr2Loss(config, LossNetwork(w, LAYERS, padding="reflect"))(*pictures)
        for w in (weights, scaled)
    )
    for name, term in terms.items():
        assert of_scaled[name].item() == pytest.approx(term.item(), rel=1e-2), name


def write_material(folder: Path) -> None:
    """Photos, paintings of two colors, and a loss network."""
    write_training_material(folder)
    (folder / "pictures").mkdir()
    random = np.random.default_rng(1)
    for number, tint in enumerate(((1.0, 0.3, 0.1), (0.1, 0.4, 1.0))):
        pixels = random.integers(0, 256, (40, 50, 3)) * tint
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / f"{number}.png")


@pytest.fixture
def config(tmp_path: Path) -> StyTr2TrainConfig:
    write_material(tmp_path)
    return StyTr2TrainConfig(
        photos=str(tmp_path / "photos"),
        pictures=str(tmp_path / "pictures"),
        steps=6,
        batch_size=2,
        crop=32,
        learning_rate=1e-3,
        warm_up=2,
        device="cpu",
        net=TINY,
        loss=StyTr2LossConfig(
            network=str(tmp_path / "network.safetensors"),
            content_layers=("relu2_1",),
            style_layers=LAYERS,
        ),
    )


def test_learning_rate_is_that_of_the_authors_code_at_first() -> None:
    config = StyTr2TrainConfig("", "")
    for step in (0, 1, 5_000, 10_000):
        theirs = 5e-4 * 0.1 * (1 + 3e-4 * step)
        assert config.learning_rate * config.rate(step) == pytest.approx(theirs)
    assert config.rate(100_000) < config.rate(50_000) < 1
    assert config.rate(config.steps) == pytest.approx(0.01)


def test_training_lowers_the_loss(
    config: StyTr2TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    train_stytr2(replace(config, steps=100), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))

    def mean(part: list[dict[str, str]], name: str) -> float:
        return float(np.mean([float(row[name]) for row in part]))

    assert mean(rows[-20:], "style") < 0.5 * mean(rows[:5], "style")
    assert mean(rows[-20:], "identity") < 0.85 * mean(rows[:5], "identity")


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: StyTr2TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    whole = train_stytr2(config, tmp_path / "whole")
    real = training.StyTr2Loss.forward
    calls = []

    def pull_the_plug_at_step_5(self, *pictures):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(self, *pictures)

    monkeypatch.setattr(training.StyTr2Loss, "forward", pull_the_plug_at_step_5)
    with pytest.raises(KeyboardInterrupt):
        train_stytr2(config, tmp_path / "halves")
    assert load_trained_stytr2(tmp_path / "halves" / "checkpoint.pt")[2] == 3
    monkeypatch.setattr(training.StyTr2Loss, "forward", real)
    resumed = train_stytr2(config, tmp_path / "halves")
    for name, values in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], values, msg=name)


def test_start_from_a_checkpoint(config: StyTr2TrainConfig, tmp_path: Path) -> None:
    first = train_stytr2(config, tmp_path / "first")
    checkpoint = str(tmp_path / "first" / "checkpoint.pt")
    onward = replace(config, start_from=checkpoint, learning_rate=0.0, steps=1)
    second = train_stytr2(onward, tmp_path / "second")
    for name, values in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], values), name
    other = replace(onward, net=replace(TINY, width=16))
    with pytest.raises(ExportError, match="another architecture"):
        train_stytr2(other, tmp_path / "third")


def test_sample_pictures_are_written(config: StyTr2TrainConfig, tmp_path: Path) -> None:
    train_stytr2(config, tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "000006.png") as sample:
        assert sample.size == (5 * 32, 5 * 32)


OPTIONS = (
    "train stytr2 --photos photos --pictures pictures --network network.safetensors --device cpu "
    "--content-layers relu2_1 --style-layers relu1_1,relu2_1 --steps 2 --batch-size 2 --crop 32 "
    "--width 16 --heads 2 --feed-forward 16 --content-encoder-layers 1 --style-encoder-layers 1 "
    "--decoder-layers 2 --decoder-width 8"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file `any.onnx` that the train command wrote, in the folder of its material."""
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
    """Take the graph of a file where one would be traced, which takes half a minute."""
    model = onnx.load(path)
    monkeypatch.setattr(stytr2_file, "export_picture_graph", lambda _graph: model)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_halves_of_the_file_paint_as_pytorch_does(trained: Path, backend: str) -> None:
    graph = PictureGraph(net_of(trained))
    random = np.random.default_rng(0)
    with open_engine(trained, backend, "cpu", "fp32") as engine:
        for size, picture_size in (
            ((37, 51), (64, 48)),
            ((16, 16), (19, 130)),
            ((64, 96), (40, 40)),
        ):
            frames = random.integers(0, 256, (2, *size, 3), np.uint8)
            picture = random.integers(0, 256, (1, *picture_size, 3), np.uint8)
            with torch.no_grad():
                expected, *_ = graph(torch.from_numpy(frames), torch.from_numpy(picture))
            style = style_of(read_card(trained), picture)
            assert psnr(engine.paint(frames, style), expected.numpy()) > 45
        with pytest.raises(EngineError, match="style_keys"):
            engine.paint(frames)


def test_halves_make_the_whole(trained: Path) -> None:
    """The file as it is, of two inputs, for programs that know nothing of ours."""
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
    [((1, 8, 64, 3), "64x8 is too small"), ((2, 32, 64, 3), "of one picture, got 2")],
)
def test_pictures_that_are_no_style(trained: Path, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        style_of(read_card(trained), np.zeros(shape, np.uint8))


def test_model_that_takes_no_picture(inverter_path: Path) -> None:
    with pytest.raises(EngineError, match="styles of its own"):
        style_of(read_card(inverter_path), np.zeros((1, 32, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--out any.pt", "ends in .onnx"),
        ("--out any.onnx --pictures empty", "no photographs"),
        ("--out any.onnx --crop 36", "a multiple of 8 pixels, got 36"),
        ("--out any.onnx --heads 3", "a width of 16 is not for 3 heads"),
        ("--out any.onnx --start-from network.safetensors", "is not a checkpoint"),
        ("--out any.onnx --style-layers relu9_1", "has no layer relu9_1"),
    ],
)
def test_bad_training_input_is_one_sentence_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_material(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main([*OPTIONS.split(), *options.split()]) == 2
    error = capsys.readouterr().err.splitlines()
    assert words in error[-1]
    assert not any("Traceback" in line for line in error)
    assert not list(tmp_path.glob("*.onnx"))


def test_pictures_are_styles_of_the_file_but_not_mixed(trained: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        spots = random.integers(0, 256, (8, 12, 3), np.uint8)
        Image.fromarray(spots).resize((120, 80)).save(tmp_path / f"{name}.png")
    styles = [f"{trained}:{tmp_path / name}.png" for name in ("a", "b")]
    frames = random.integers(0, 256, (1, 40, 72, 3), np.uint8)
    painted = []
    for style in styles:
        with open_styled(style, "openvino", "cpu", "fp32") as engine:
            engine.prepare(40, 72)
            painted.append(engine.paint(frames))
    assert painted[0].shape == frames.shape
    assert not np.array_equal(*painted)
    with pytest.raises(UserError, match="can't be mixed"):
        read_style("+".join(styles))
    assert choose(styles[0]).model != choose(styles[1]).model  # nor glided between
