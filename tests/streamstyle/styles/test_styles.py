"""Finding the model of a style, and painting in one of its many styles."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines import STYLE_WEIGHTS, EngineError, read_card, takes_pictures
from streamstyle.errors import UserError
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import EnginePool, choose
from streamstyle.live.style_mixer import StyleMixer
from streamstyle.styles import (
    DEFAULT_MODEL,
    DEFAULT_STYLE,
    StyleSpec,
    card_of,
    find_style,
    open_engine,
    parse_style,
    read_style,
    shipped_models,
    styles_beside,
)
from tests.helpers.models import write_two_strokes, write_two_styles

FRAMES = np.full((1, 32, 32, 3), 200, np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "a.onnx folder"
    folder.mkdir()
    write_two_styles(folder / "two.onnx")
    return folder / "two.onnx"


@pytest.mark.parametrize(("name", "level"), [("", 200), (":same", 200), (":negative", 55)])
def test_one_style_of_a_file(model: Path, name: str, level: int) -> None:
    with open_engine(f"{model}{name}", "openvino", "cpu", "fp32") as engine:
        engine.prepare(32, 32)
        assert (engine.paint(FRAMES) == level).all()
        mixed = engine.paint(FRAMES, {STYLE_WEIGHTS: np.array([0.5, 0.5], np.float32)})
        assert (np.abs(mixed.astype(int) - 127) <= 1).all()


@pytest.mark.parametrize(("stroke", "level"), [(0, 200), (0.25, 164), (0.5, 127), (1, 55)])
def test_strokes_from_fine_to_large(tmp_path: Path, stroke: float, level: int) -> None:
    write_two_strokes(tmp_path / "strokes.onnx")
    style = replace(parse_style(f"{tmp_path / 'strokes.onnx'}:negative"), stroke=stroke)
    with open_engine(style, "openvino", "cpu", "fp32") as engine:
        assert (np.abs(engine.paint(FRAMES).astype(int) - level) <= 1).all()
    shelf = EnginePool(partial(choose, backend="openvino", precision="fp32"))
    mix = StyleMixer(shelf)
    controls = Controls(style=style, stroke=stroke)
    try:
        while not (layers := mix.layers(controls, ((32, 32),), 10.0)[0]):
            time.sleep(0.01)
        (layer,) = layers
        painted = layer.engine.paint(FRAMES, layer.style)
    finally:
        shelf.close()
    assert (np.abs(painted.astype(int) - level) <= 1).all()


def test_a_stroke_that_is_none(model: Path) -> None:
    with pytest.raises(UserError, match=r"two.onnx has strokes of one size; leave out --stroke"):
        open_engine(replace(parse_style(model), stroke=0.7))
    with pytest.raises(UserError, match="a stroke must be from 0 to 1, got 2"):
        StyleSpec((), stroke=2)


def test_a_path_names_a_file_too(model: Path) -> None:
    assert parse_style(model) == parse_style(str(model))


def test_a_style_that_the_file_does_not_have(model: Path) -> None:
    with pytest.raises(UserError, match=r"two.onnx has no style positive; it has same, negative"):
        open_engine(f"{model}:positive")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the model"):
        open_engine(tmp_path / "missing.onnx")


def test_every_style_of_every_model_that_ships_is_found() -> None:
    for model, path in shipped_models().items():
        if takes_pictures(read_card(path)):
            assert styles_beside(parse_style(model)) == ([], 0)
            continue
        styles, first = styles_beside(parse_style(model))
        assert first == 0
        for number, style in enumerate(styles):
            card, found = find_style(style.parts[0])
            assert (card.path, found) == (path, number)
            assert parse_style(f"{model}:{card.styles[number].name}") == style
            assert parse_style(str(style)) == style


def test_a_name_alone_is_of_the_default_model() -> None:
    assert parse_style(DEFAULT_STYLE) == parse_style(f"{DEFAULT_MODEL}:{DEFAULT_STYLE}")
    styles, number = styles_beside(parse_style("great-wave"))
    assert str(styles[number]) == "great-wave"
    assert str(styles[0]) == DEFAULT_STYLE


def test_styles_beside_one_of_a_file(model: Path) -> None:
    styles = [parse_style(f"{model}:{name}") for name in ("same", "negative")]
    assert styles_beside(styles[1]) == (styles, 1)
    assert styles_beside(parse_style(model)) == (styles, 0)


def test_a_model_that_does_not_ship() -> None:
    with pytest.raises(UserError, match=r"no model huge; choose .*medium"):
        open_engine("huge:starry-night")


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(UserError, match=r"did you mean starry-night\?"):
        open_engine("stary-night")


def test_a_mix_may_be_longer_than_a_name_of_a_file() -> None:
    names = [style.name for style in card_of(DEFAULT_MODEL).styles]
    mix = "+".join(f"{name}=0.25" for name in names)
    assert len(mix) > 255
    _, inputs = read_style(parse_style(mix))
    assert inputs[STYLE_WEIGHTS].sum() == pytest.approx(1)
    assert np.count_nonzero(inputs[STYLE_WEIGHTS]) == len(names)
