"""One network for the style of any picture: its training, its engine file and its painting."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from engines import STYLE_ROW, STYLE_WEIGHTS, open_engine, read_card, style_of
from export.cli import main
from export.common import training_loop
from export.common.engine_file import Description, load_weights, write_engine
from export.common.losses import LossConfig
from export.data.photos import PaintingCrops, list_photos
from export.errors import ExportError
from export.families.any_picture import train as training
from export.families.any_picture.model import AnyPicture, AnyPictureConfig, StyleEncoder
from export.families.any_picture.train import (
    AnyPictureTrainConfig,
    load_trained_any_picture,
    train_any_picture,
)
from export.families.many_style.model import ManyStyle, ManyStyleConfig
from streamstyle.errors import UserError
from streamstyle.styles import open_engine as open_style
from streamstyle.styles import parse_style, read_strokes, read_style
from tests.helpers.nets import check_resuming
from tests.helpers.stytr2 import LAYERS, write_material

pytestmark = pytest.mark.slow

SIZES = {"width": 8, "residual_blocks": 1, "decoder_width": 4}
TINY = AnyPictureConfig(**SIZES, encoder_width=8, hidden=16)
FRAME = np.random.default_rng(0).integers(0, 256, (1, 37, 51, 3), np.uint8)


@pytest.fixture
def config(tmp_path: Path) -> AnyPictureTrainConfig:
    write_material(tmp_path)
    return AnyPictureTrainConfig(
        photos=str(tmp_path / "photos"),
        pictures=str(tmp_path / "pictures"),
        steps=6,
        batch_size=2,
        crop=32,
        picture_crop=40,
        learning_rate=5e-3,
        style_warm_up=2,
        device="cpu",
        net=TINY,
        loss=LossConfig(
            network=(str(tmp_path / "network.safetensors"),),
            content_layers=("relu2_1",),
            style_layers=LAYERS,
        ),
    )


def net(styles: int = 0) -> AnyPicture:
    torch.manual_seed(0)
    made = AnyPicture(TINY, styles).eval()
    with torch.no_grad():
        made.predictor[-1].weight *= 30
        made.styles += 0.3 * torch.randn_like(made.styles)
    return made


@pytest.mark.parametrize("size", [(16, 16), (37, 51), (90, 64)])
def test_statistics_tell_pictures_apart_whatever_their_size(size: tuple[int, int]) -> None:
    encoder = StyleEncoder(8)
    dark, light = (
        torch.rand(2, 1, 3, *size).mul(0.3).add(torch.tensor([0.0, 0.7])[:, None, None, None, None])
    )
    with torch.no_grad():
        found = encoder(torch.cat([dark, light]))
    assert found.shape == (2, encoder.statistics)
    torch.testing.assert_close(found[0, :3], dark.mean(dim=(0, 2, 3)))
    assert (found[0] - found[1]).abs().max() > 0.1


def test_training_lowers_the_loss_and_tells_pictures_apart(
    config: AnyPictureTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    trained = train_any_picture(replace(config, steps=300, learning_rate=1e-2), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for term, part in (("style", 0.8), ("teacher", 0.8)):
        first, last = (
            np.mean([float(row[term]) for row in some]) for some in (rows[2:22], rows[-20:])
        )
        assert last < part * first, term
    assert isinstance(trained, AnyPicture)
    photo = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        colors = []
        for path in list_photos(Path(config.pictures)):
            picture = training_picture(path)
            colors.append(trained.paint(photo, trained.rows_of(picture)).mean(dim=(0, 2, 3)))
    warm, cold = colors
    assert (warm - cold).abs().max() > 0.05


def training_picture(path: Path) -> torch.Tensor:
    pixels = torch.from_numpy(np.asarray(Image.open(path), np.float32).copy())
    return pixels.permute(2, 0, 1)[None] / 255


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: AnyPictureTrainConfig, tmp_path: Path
) -> None:
    check_resuming(
        train_any_picture,
        load_trained_any_picture,
        config,
        tmp_path,
        (training.AnyPictureFamily, "losses"),
    )


def test_a_net_for_many_styles_is_a_beginning(tmp_path: Path) -> None:
    write_material(tmp_path)
    torch.manual_seed(0)
    many = ManyStyle(ManyStyleConfig(**SIZES), 2).eval()
    engine = tmp_path / "many.onnx"
    write_engine(many, engine, Description("many-style"), tmp_path / "photos")
    begun = net()
    load_weights(begun, engine)
    torch.testing.assert_close(begun.base, many.styles.mean(dim=0))
    torch.testing.assert_close(begun.encoder.weight, many.encoder.weight, atol=1e-3, rtol=1e-3)


def test_judgement_of_what_was_not_trained_on(
    config: AnyPictureTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "EVALUATE_EVERY", 3)
    monkeypatch.setattr("export.common.evaluation.JUDGED_LAYERS", LAYERS)
    monkeypatch.setattr("export.families.picture_family.JUDGED_LAYERS", LAYERS)
    judged = replace(config, judge=config.loss.network[0], evaluate=config.photos)
    with pytest.raises(ExportError, match="--evaluate-pictures"):
        train_any_picture(judged, tmp_path / "none")
    train_any_picture(replace(judged, evaluate_pictures=config.pictures), tmp_path / "run")
    with (tmp_path / "run" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["style"]) for row in rows] == [
        (step, picture) for step in ("3", "6") for picture in ("0", "1")
    ]
    assert all(float(row["style_loss"]) > 0 < float(row["content_loss"]) for row in rows)
    with Image.open(tmp_path / "run" / "evaluation.png") as plot:
        assert plot.width > 600


def test_paintings_are_drawn_by_artist(tmp_path: Path) -> None:
    names = [
        *(f"prolific__{n}" for n in range(9)),
        "rare__only",
        *(f"scroll-{n:03}" for n in range(4)),
    ]
    for name in names:
        Image.new("RGB", (40, 30), (200, 60, 60)).save(tmp_path / f"{name}.png")
    crops = PaintingCrops(list_photos(tmp_path), 16, seed=0)
    random = np.random.default_rng(0)
    drawn = [crops.draw(random).stem for _ in range(6000)]
    by_artist = [
        sum(name.startswith(a) for name in drawn) / 1000 for a in ("prolific", "rare", "scroll")
    ]
    assert by_artist == pytest.approx([3, 1, 2], abs=0.2)
    assert set(drawn) == set(names)
    some = torch.stack([crops[i] for i in range(40)])
    changed = (some - some.new_tensor([200, 60, 60])[:, None, None] / 255).abs().amax(
        dim=(1, 2, 3)
    ) > 0.02
    assert 0.3 < changed.float().mean() < 0.7
    assert torch.equal(some[3], PaintingCrops(list_photos(tmp_path), 16, seed=0)[3])


@pytest.fixture
def engine_file(config: AnyPictureTrainConfig, tmp_path: Path) -> Path:
    """An engine file written by the train command, with one named style added."""
    out = tmp_path / "any.onnx"
    small = f"--photos {config.photos} --network {config.loss.network[0]} --content-layers relu2_1"
    small += f" --style-layers {','.join(LAYERS)} --batch-size 2 --crop 32 --device cpu"
    command = f"train any-picture --pictures {config.pictures} --out {out} {small} --steps 30"
    command += " --width 8 --residual-blocks 1 --decoder-width 4 --encoder-width 8 --hidden 16"
    command += " --picture-crop 32 --learning-rate 0.01"
    assert main(command.split()) == 0
    assert read_card(out).styles == ()
    adding = f"add-style {Path(config.pictures) / '0.png'} --name warm --to {out} --style-size 32"
    assert (
        main([*adding.split(), *small.split(), "--steps", "2", "--run", str(tmp_path / "add")]) == 0
    )
    return out


def test_pictures_and_names_mix_in_one_file(
    config: AnyPictureTrainConfig, engine_file: Path, tmp_path: Path
) -> None:
    card = read_card(engine_file)
    assert (card.family, [style.name for style in card.styles]) == ("any-picture", ["warm"])
    assert card.strokes == (0.6, 1.0, 1.6)
    assert card.verification["worst_psnr_db"] > 45
    first, second = card.training["commands"]
    assert "train any-picture --photos PHOTOS --pictures PICTURES" in first
    assert "add-style 0.png" in second
    trained = load_trained_any_picture(tmp_path / "any.run" / "checkpoint.pt")[0]
    picture = Path(config.pictures) / "1.png"
    pixels = np.asarray(Image.open(picture))[None]
    style = style_of(card, pixels)
    with torch.no_grad():
        row = trained.rows_of(training_picture(picture))
    np.testing.assert_allclose(style[STYLE_ROW], row.numpy(), atol=0.02)
    for backend in ("openvino", "onnxruntime"):
        with open_engine(engine_file, backend, "cpu", "fp32") as engine:
            alone = engine.paint(FRAME, style)
            named = read_style(parse_style(f"{engine_file}:warm"))[1]
            by_name = engine.paint(FRAME, named)
            both = {k: np.float32(0.5) * (style[k] + named[k]) for k in style}
            mixed = engine.paint(FRAME, both)
        assert alone.shape == FRAME.shape
        assert (alone != by_name).any()
        assert (mixed != alone).any()
    by_style = read_style(parse_style(f"{engine_file}:{picture}=1+{engine_file}:warm=3"))[1]
    assert by_style[STYLE_WEIGHTS].tolist() == pytest.approx([0, 0.75, 0])
    assert np.abs(by_style[STYLE_ROW]).max() > 0


def test_strokes_of_a_picture_are_three_sizes_of_it(
    config: AnyPictureTrainConfig, engine_file: Path
) -> None:
    random = np.random.default_rng(1)
    path = Path(config.pictures) / "large.png"
    Image.fromarray(random.integers(0, 256, (600, 700, 3), np.uint8)).save(path)
    picture = parse_style(f"{engine_file}:{path}")
    card, strokes = read_strokes(picture)
    assert len(strokes) == len(read_strokes(parse_style(f"{engine_file}:warm"))[1]) == 3
    fine, _, large = (style[STYLE_ROW] for style in strokes)
    assert np.abs(fine - large).max() > 1e-5
    between = read_style(replace(picture, stroke=0.75))[1][STYLE_ROW]
    middle = read_style(picture)[1][STYLE_ROW]
    np.testing.assert_allclose(between, (middle + large) / 2, atol=1e-6)
    with open_style(picture, "openvino", "cpu", "fp32") as engine:
        assert engine.paint(FRAME).shape == FRAME.shape
        assert engine.card == card


def test_a_file_of_pictures_alone_wants_one(config: AnyPictureTrainConfig, tmp_path: Path) -> None:
    train_any_picture(config, tmp_path / "run")
    out = tmp_path / "alone.onnx"
    assert (
        main(["onnx", str(tmp_path / "run" / "checkpoint.pt"), str(out), "--photos", config.photos])
        == 0
    )
    with pytest.raises(UserError, match="in the style of a picture; give one"):
        read_style(parse_style(out))
