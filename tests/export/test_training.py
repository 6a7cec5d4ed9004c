"""Training, resuming, and the engine file that a training writes."""

import csv
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from engines import StyleCard, open_engine, read_card
from export.cli import main
from export.common import (
    engine_file,
    sheets,
    training_loop,
)
from export.common.comparison import psnr
from export.common.engine_file import Description, load_weights, write_engine
from export.common.losses import LossConfig
from export.data.photos import Crops, list_photos, load_picture
from export.data.style_table import StylePicture
from export.errors import ExportError
from export.families.johnson.model import Johnson, JohnsonConfig
from export.families.many_style import train as training
from export.families.many_style.train import TrainConfig, load_trained, train
from export.from_checkpoint import write_from_checkpoint
from tests.helpers.nets import check_resuming, write_training_material

pytestmark = pytest.mark.slow

STYLE = StyleCard("test", "Test", "a test", "2026", "Apache-2.0")


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    style, photos, network = write_training_material(tmp_path)
    return TrainConfig(
        styles=(StylePicture(str(style), "test", "Test", size=32),),
        photos=str(photos),
        steps=6,
        batch_size=2,
        crop=32,
        style_warm_up=2,
        device="cpu",
        net=JohnsonConfig(base_width=4, residual_blocks=1),
        loss=LossConfig(
            network=(str(network),),
            content_layers=("relu2_1",),
            style_layers=("relu1_1", "relu2_1"),
        ),
    )


def test_training_lowers_the_loss(config: TrainConfig, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    train(replace(config, steps=80), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 81))

    def loss(part: list[dict[str, str]]) -> float:
        return float(np.mean([float(row["content"]) + float(row["style"]) for row in part]))

    assert loss(rows[-10:]) < 0.8 * loss(rows[2:12])  # after the style warm-up


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: TrainConfig, tmp_path: Path
) -> None:
    check_resuming(train, load_trained, config, tmp_path, (training.PerceptualLoss, "forward"))


def test_other_settings_do_not_go_on_from_a_checkpoint(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    with pytest.raises(ExportError, match="another --run"):
        train(replace(config, learning_rate=1e-4), tmp_path / "run")


def test_a_run_may_be_a_folder_in_folders(config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "today" / "first"
    train(replace(config, steps=1), run)
    assert load_trained(run / "checkpoint.pt")[2] == 1


def test_sample_pictures_are_written(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "000006.jpg") as sample:
        assert sample.size == (2 * sheets.TILE, 5 * sheets.TILE)
    with Image.open(tmp_path / "run" / "progress.jpg") as progress:
        assert progress.size == (4 * sheets.TILE, sheets.TILE)


def test_diverging_training_stops_with_a_sentence(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="lower --learning-rate"):
        train(replace(config, learning_rate=1e30), tmp_path / "run")


def test_weights_of_an_engine_are_a_beginning(
    config: TrainConfig, tmp_path: Path, monkeypatch
) -> None:
    first = train(config, tmp_path / "first")
    engine = tmp_path / "first.onnx"
    write_engine(first, engine, Description("johnson", [STYLE]), Path(config.photos))
    loaded = Johnson(config.net)
    load_weights(loaded, engine)
    for name, values in first.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], values, rtol=1e-3, atol=1e-4)
    used = []
    monkeypatch.setattr(training_loop, "load_weights", lambda _net, path: used.append(path))
    train(replace(config, start_from=str(engine)), tmp_path / "second")
    train(replace(config, start_from=str(engine)), tmp_path / "second")  # does not load again
    assert used == [engine]


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(
    capabilities: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaces what torch reports about the processor, since a machine has only one."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert training.fast_dtype(torch.device("cpu")) == dtype
    assert training.fast_dtype(torch.device("cuda")) == torch.bfloat16


def test_weights_of_a_narrower_net_paint_alike(config: TrainConfig, tmp_path: Path) -> None:
    narrow = train(config, tmp_path / "run")
    engine = tmp_path / "engine.onnx"
    write_engine(narrow, engine, Description("johnson", [STYLE]), Path(config.photos))
    wide = net(JohnsonConfig(base_width=12, residual_blocks=1))
    load_weights(wide, engine)
    photo = load_picture(list_photos(Path(config.photos))[0])
    with torch.no_grad():
        difference = (wide(photo) - narrow(photo)).square().mean() / narrow(photo).var()
    assert difference < 0.01
    first, twin = wide.encoder[1].weight[0], wide.encoder[1].weight[4]
    assert not torch.equal(first, twin)  # else they would learn the same


def test_weights_of_another_architecture(config: TrainConfig, tmp_path: Path) -> None:
    engine = tmp_path / "engine.onnx"
    small = net(JohnsonConfig(base_width=4))
    write_engine(small, engine, Description("johnson", [STYLE]), Path(config.photos))
    with pytest.raises(ExportError, match="another architecture"):
        train(replace(config, start_from=str(engine)), tmp_path / "run")


def test_crops_depend_on_their_number_alone(config: TrainConfig) -> None:
    photos = list_photos(Path(config.photos))
    crops = Crops(photos, 32, seed=0)
    assert torch.equal(crops[7], Crops(photos, 32, seed=0)[7])
    assert not torch.equal(crops[7], crops[8])
    assert crops[7].shape == (3, 32, 32)
    assert 0 <= crops[7].min() <= crops[7].max() <= 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(ExportError, match="is not a checkpoint"):
        load_trained(path)


def test_checkpoint_with_damaged_settings(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"config": "{damaged", "step": 1}, path)
    with pytest.raises(ExportError, match=r"settings in .* are damaged"):
        write_from_checkpoint(path, tmp_path / "out.onnx", tmp_path)


def test_unreadable_style_picture(config: TrainConfig, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(ExportError, match=r"broken\.png is not an image that can be read"):
        load_picture(broken)
    Image.new("RGB", (64, 48)).save(broken)
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ExportError, match="cannot read the picture"):
        load_picture(broken)


def test_photos_are_known_by_what_they_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "below").mkdir()
    for name, kind in (("a.jfif", "JPEG"), ("below/b", "PNG"), ("c.avif", "AVIF")):
        Image.new("RGB", (64, 48)).save(tmp_path / name, kind)
    Image.new("RGB", (64, 48)).save(tmp_path / "raw.jpg", "TIFF", tiffinfo={254: 1})
    (tmp_path / "list.jpg").write_text("a.jfif")
    assert list_photos(tmp_path) == [tmp_path / name for name in ("a.jfif", "below/b", "c.avif")]
    (told,) = capsys.readouterr().err.splitlines()
    assert "raw.jpg is left out: it is a camera's raw photo" in told


def net(config: JohnsonConfig) -> Johnson:
    torch.manual_seed(0)
    made = Johnson(config)
    made.eval()
    return made


@pytest.mark.parametrize(
    "config", [JohnsonConfig(base_width=4), JohnsonConfig.paper()], ids=["ours", "paper"]
)
def test_engine_paints_as_pytorch_does(tmp_path: Path, config: JohnsonConfig) -> None:
    _, photos, _ = write_training_material(tmp_path)
    out = tmp_path / "engine.onnx"
    measured = write_engine(net(config), out, Description("johnson", [STYLE], {"steps": 0}), photos)
    assert measured["worst_psnr_db"] > 45
    card = read_card(out)
    assert card.styles == (STYLE,)
    assert card.verification == measured
    frames = np.random.default_rng(0).integers(0, 256, (2, 37, 51, 3), np.uint8)
    with torch.no_grad():
        expected = engine_file.FrameGraph(net(config))(torch.from_numpy(frames)).numpy()
    for backend in ("openvino", "onnxruntime"):
        with open_engine(out, backend, "cpu", "fp32") as engine:
            assert psnr(engine.paint(frames), expected) > 45, backend


def test_engine_file_names_nobodys_folders(tmp_path: Path) -> None:
    _, photos, _ = write_training_material(tmp_path)
    out = tmp_path / "engine.onnx"
    write_engine(net(JohnsonConfig(base_width=4)), out, Description("johnson", [STYLE]), photos)
    data = out.read_bytes()
    for text in (str(tmp_path), str(Path(__file__).parents[2]), str(Path.home())):
        assert text.encode() not in data


def test_engine_that_deviates_is_not_written(tmp_path: Path) -> None:
    class Deceiver(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if torch.compiler.is_exporting() else 1 - x

    _, photos, _ = write_training_material(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportError, match=r"differently from PyTorch.*nothing was written"):
        write_engine(Deceiver(), tmp_path / "engine.onnx", Description("johnson", [STYLE]), photos)
    assert sorted(tmp_path.iterdir()) == before


def test_weights_beyond_half_precision_stay_as_they_are(tmp_path: Path) -> None:
    _, photos, _ = write_training_material(tmp_path)
    large = net(JohnsonConfig(base_width=16))
    with torch.no_grad():
        large.encoder[1].weight *= 1e6  # the next normalization undoes it
    out = tmp_path / "engine.onnx"
    assert write_engine(large, out, Description("johnson", [STYLE]), photos)["worst_psnr_db"] > 45


def test_train_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style, photos, network = write_training_material(tmp_path)
    out = tmp_path / "mine.onnx"
    command = [
        "train",
        "johnson",
        "--style",
        str(style),
        "--photos",
        str(photos),
        "--out",
        str(out),
    ]
    options = "--steps 3 --batch-size 2 --crop 32 --style-size 32 --base-width 4 --device cpu"
    options += " --content-layers relu2_1 --style-layers relu1_1,relu2_1 --artist Me"
    assert main([*command, *options.split(), "--network", str(network), "--out", str(out)]) == 0
    assert "mine.onnx: 0.1 MB, PSNR against PyTorch at least" in capsys.readouterr().out
    card = read_card(out)
    assert card.styles[0].name == "mine"
    assert card.styles[0].artist == "Me"
    assert card.training["steps"] == 3
    trained_by = (
        "streamstyle-export train johnson --style style.png --photos PHOTOS --style-size 32 "
        "--steps 3 --batch-size 2 --crop 32 --base-width 4 --network network.safetensors "
        "--content-layers relu2_1 --style-layers relu1_1,relu2_1"
    )
    assert card.training["commands"] == [trained_by]
    refined = tmp_path / "refined.onnx"
    onward = [*command[:-1], str(refined), "--start-from", str(out), *options.split()]
    assert main([*onward, "--network", str(network)]) == 0
    assert read_card(refined).training["commands"] == [
        trained_by,
        trained_by.replace("--steps", "--start-from mine.onnx --steps"),
    ]
    again = tmp_path / "again.onnx"
    checkpoint = tmp_path / "mine.run" / "checkpoint.pt"
    assert main(["onnx", str(checkpoint), str(again), "--photos", str(photos)]) == 0
    assert main(["onnx", str(checkpoint), str(again), "--photos", str(photos)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--out mine.pt", "must end in .onnx"),
        ("--out missing/mine.onnx", "does not exist"),
        ("--out mine.onnx --photos empty", "no photographs"),
        ("--out mine.onnx --photos torn --style-warm-up 0", "cannot read the picture torn"),
        ("--out mine.onnx --balanced yes", "must be true or false, got yes"),
        ("--out mine.onnx --style missing.png", "cannot read the picture"),
        ("--out mine.onnx --network nonsense", "no loss network nonsense"),
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
    write_training_material(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    whole = (tmp_path / "style.png").read_bytes()
    (tmp_path / "torn" / "photo.png").write_bytes(whole[: len(whole) // 2])
    command = "train johnson --style style.png --photos photos --device cpu"
    command += " --network network.safetensors --content-layers relu2_1 --style-layers relu1_1"
    with suppress(SystemExit):
        assert main([*command.split(), *options.split()]) == 2
    error = capsys.readouterr().err.splitlines()
    assert words in error[-1]
    assert not any("Traceback" in line for line in error)
    assert not list(tmp_path.glob("*.onnx"))
