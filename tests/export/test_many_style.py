"""One network for many styles: the network, its training, and the engine file."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from engines import STYLE_WEIGHTS, Style, open_engine, read_card
from export.cli import main
from export.common import (
    calibration,
    engine_file,
    training_loop,
)
from export.common.comparison import psnr
from export.common.losses import LossConfig
from export.data.style_table import StylePicture
from export.errors import ExportError
from export.families.many_style import train as training
from export.families.many_style.model import ManyStyle, ManyStyleConfig
from export.families.many_style.train import TrainConfig, load_trained, train
from tests.helpers.clips import write_moving_noise
from tests.helpers.nets import check_resuming, write_training_material

pytestmark = pytest.mark.slow


def net(styles: int = 3) -> ManyStyle:
    torch.manual_seed(0)
    made = ManyStyle(ManyStyleConfig(width=8, residual_blocks=1, decoder_width=4), styles)
    made.eval()
    with torch.no_grad():
        made.styles += 0.3 * torch.randn_like(made.styles)
    return made


def one(style: int, styles: int = 3) -> torch.Tensor:
    return torch.eye(styles)[style][None]


@pytest.mark.parametrize("size", [(16, 16), (48, 64), (37, 50), (17, 129)])
def test_every_size_is_kept(size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert net()(torch.rand(2, 3, *size), one(0)).shape == (2, 3, *size)


def test_styles_differ_and_a_mix_lies_between() -> None:
    photo = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        first, second = (net()(photo, one(style)) for style in (0, 1))
        near = net()(photo, 0.9 * one(0) + 0.1 * one(1))
    assert (first - second).abs().max() > 0.01
    assert (near - first).square().mean() < (near - second).square().mean()


def test_inner_blocks_see_places_further_apart() -> None:
    made = ManyStyle(ManyStyleConfig(width=8, residual_blocks=4), 1)
    assert [layer.dilation[0] for layer in made.residual[::2]] == [1, 2, 2, 1]
    seen = []
    made.residual[2].register_forward_hook(lambda _m, inputs, output: seen.append((inputs, output)))
    made(torch.rand(1, 3, 16, 16), torch.ones(1, 1))
    ((padded,), output) = seen[0]
    assert (padded.shape[-1], output.shape[-1]) == (8, 4)


def test_each_picture_of_a_batch_has_its_own_style() -> None:
    photos = torch.rand(2, 3, 32, 32)
    weights = torch.cat([one(2), one(0)])
    with torch.no_grad():
        together = net()(photos, weights)
        apart = torch.cat([net()(photos[i : i + 1], weights[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_normalization_is_equation_5() -> None:
    """The network's first normalization is compared with its definition."""
    made = net()
    seen = {}
    made.encoder.register_forward_hook(lambda _m, _i, output: seen.update(x=output))
    made.residual[0].register_forward_hook(lambda _m, inputs, _o: seen.update(y=inputs[0]))
    with torch.no_grad():
        made(torch.rand(1, 3, 32, 32), one(1))
    x = seen["x"]
    mean = x.mean(dim=(2, 3), keepdim=True)
    deviation = (x.var(dim=(2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    scale, shift = made.styles[1, :8], made.styles[1, 8:16]
    expected = scale[:, None, None] * (x - mean) / deviation + shift[:, None, None]
    unpadded = seen["y"][..., 1:-1, 1:-1]
    torch.testing.assert_close(unpadded, expected.relu(), rtol=1e-4, atol=1e-5)


def save_noise(path: Path, tint: tuple[float, float, float]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)) * tint
    Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    style, photos, network = write_training_material(tmp_path)
    other = tmp_path / "other.png"
    save_noise(other, (1.0, 0.2, 0.1))
    return TrainConfig(
        styles=(
            StylePicture(str(style), "noise", "Noise", size=32),
            StylePicture(str(other), "red", "Red", size=32, weight=2.0),
        ),
        photos=str(photos),
        steps=6,
        batch_size=2,
        crop=32,
        style_warm_up=2,
        temporal_weight=1.0,
        device="cpu",
        net=ManyStyleConfig(width=8, residual_blocks=1, decoder_width=4),
        loss=LossConfig(
            network=(str(network),),
            content_layers=("relu2_1",),
            style_layers=("relu1_1", "relu2_1"),
        ),
    )


def test_training_lowers_each_loss_and_tells_styles_apart(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    trained = train(replace(config, steps=250, learning_rate=1e-2), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))

    def mean(part: list[dict[str, str]], name: str) -> float:
        return float(np.mean([float(row[name]) for row in part]))

    assert mean(rows[-20:], "style") < 0.8 * mean(rows[2:22], "style")
    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        noise, red = (trained(photo, one(style, 2)).mean(dim=(0, 2, 3)) for style in (0, 1))
    assert red[0] - red[2] > noise[0] - noise[2] + 0.05


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: TrainConfig, tmp_path: Path
) -> None:
    check_resuming(train, load_trained, config, tmp_path, (training, "temporal_loss"))


def test_steadiness_is_learned_from_clips_too(config: TrainConfig, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    with pytest.raises(ExportError, match="there is no video in"):
        train(replace(config, clips=str(clips)), tmp_path / "none")
    (clips / "text.mp4").write_text("no video")
    with pytest.raises(ExportError, match="cannot read the video"):
        train(replace(config, clips=str(clips)), tmp_path / "text")
    (clips / "text.mp4").unlink()
    write_moving_noise(clips / "moving.mkv", step=3)
    with_clips, without = (
        train(replace(config, clips=used), tmp_path / f"run{len(used)}").state_dict()
        for used in (str(clips), "")
    )
    assert any(not torch.equal(with_clips[name], without[name]) for name in without)


def test_a_style_is_painted_in_as_often_as_its_share_says(
    config: TrainConfig, tmp_path: Path
) -> None:
    hard, easy = config.styles
    rarely = replace(config, styles=(replace(hard, share=1e9), easy), steps=3)
    torch.manual_seed(rarely.seed)
    before = rarely.make_net().state_dict()["styles"]
    after = train(rarely, tmp_path / "run").state_dict()["styles"]
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])


def weights(*values: float) -> Style:
    return {STYLE_WEIGHTS: np.array(values, np.float32)}


def write_table(config: TrainConfig, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "name", "title", "artist", "year", "licence", "size", "weight"])
        for style in config.styles:
            name = Path(style.picture).name
            writer.writerow([name, style.name, style.title, "me", "2026", "CC0", 32, style.weight])


def test_train_command_and_the_engine_it_writes(config: TrainConfig, tmp_path: Path) -> None:
    write_table(config, tmp_path / "styles.csv")
    out = tmp_path / "many.onnx"
    command = f"train many-style --styles {tmp_path / 'styles.csv'} --pictures {tmp_path}"
    command += f" --photos {config.photos} --out {out} --network {config.loss.network[0]}"
    command += " --content-layers relu2_1 --style-layers relu1_1,relu2_1 --steps 3 --batch-size 2"
    command += " --crop 32 --width 8 --residual-blocks 1 --decoder-width 4 --temporal-weight 1"
    command += " --device cpu"
    assert main(command.split()) == 0
    card = read_card(out)
    assert card.family == "many-style"
    assert [(style.name, style.artist) for style in card.styles] == [("noise", "me"), ("red", "me")]
    assert card.verification["worst_psnr_db"] > 45
    assert card.measured == {}
    engine_file.keep_measured(out, {"styles": {"red": {"style_loss": 0.5}}})
    kept = read_card(out)
    assert kept.measured["styles"]["red"] == {"style_loss": 0.5}
    assert (kept.styles, kept.training) == (card.styles, card.training)
    trained = load_trained(tmp_path / "many.run" / "checkpoint.pt")[0]
    graph = engine_file.FrameGraph(trained)
    frames = np.random.default_rng(0).integers(0, 256, (2, 37, 51, 3), np.uint8)
    assert card.strokes == (0.6, 1.0, 1.6)
    weights = np.array([0, 0.3, 0, 0, 0, 0.7], np.float32)
    with torch.no_grad():
        expected = graph(torch.from_numpy(frames), torch.from_numpy(weights)).numpy()
    for backend in ("openvino", "onnxruntime"):
        with open_engine(out, backend, "cpu", "fp32") as engine:
            painted = engine.paint(frames, {STYLE_WEIGHTS: weights})
            assert psnr(painted, expected) > 45, backend


def test_a_style_is_added_and_the_others_stay(
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_table(config, tmp_path / "styles.csv")
    out = tmp_path / "many.onnx"
    small = f"--photos {config.photos} --network {config.loss.network[0]} --content-layers relu2_1"
    small += " --style-layers relu1_1,relu2_1 --batch-size 2 --crop 32 --device cpu"
    command = f"train many-style --styles {tmp_path / 'styles.csv'} --pictures {tmp_path}"
    command += f" --out {out} {small} --steps 3 --width 8 --decoder-width 4"
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", 0.0)
    assert main(command.split()) == 0
    assert read_card(out).ranges
    assert "8 bits" not in capsys.readouterr().out
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    with open_engine(out, "openvino", "cpu", "fp32") as engine:
        before = engine.paint(frames, weights(0, 0, 0, 1, 0, 0))

    blue = tmp_path / "blue.png"
    save_noise(blue, (0.1, 0.2, 1.0))
    adding = f"add-style {blue} --to {out} --run {tmp_path / 'add'} {small} --steps 100"
    adding += " --style-size 32"
    monkeypatch.setattr(calibration, "MIN_PSNR_DB", calibration.BEST_DB + 1)
    assert main(adding.split()) == 0
    card = read_card(out)
    assert not card.ranges
    int8_db = card.verification["int8_worst_psnr_db"]
    assert f"not run in 8 bits, where its worst PSNR is {int8_db} dB" in capsys.readouterr().out
    assert [style.name for style in card.styles] == ["noise", "red", "blue"]
    command = card.training["commands"][-1]
    assert command.startswith("streamstyle-export add-style blue.png --to many.onnx --photos")
    assert "--start-from" not in command
    with open_engine(out, "openvino", "cpu", "fp32") as engine:
        after = engine.paint(frames, weights(0, 0, 0, 1, 0, 0, 0, 0, 0))
        began_as = engine.paint(frames, weights(*[1 / 6] * 6, 0, 0, 0))
        painted = engine.paint(frames, weights(0, 0, 0, 0, 0, 0, 0, 1, 0))
    assert psnr(before, after) > 45
    wanted = np.asarray(Image.open(blue)).mean(axis=(0, 1))
    was, became = (np.abs(x.mean(axis=(0, 1, 2)) - wanted).sum() for x in (began_as, painted))
    assert became < 0.8 * was
    assert main(adding.split()) == 2  # the style exists already


def test_a_picture_of_one_color_is_no_style(config: TrainConfig, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("RGB", (60, 60), (200, 40, 20)).save(flat)
    style = replace(config.styles[0], picture=str(flat))
    with pytest.raises(ExportError, match=r"flat.png has only one color"):
        train(replace(config, styles=(style,)), tmp_path / "run")
