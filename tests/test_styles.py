"""Finding the model of a style, and painting in one style of many."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines import STYLE_WEIGHTS, EngineError, read_card, takes_pictures
from streamstyle.errors import UserError
from streamstyle.live.controls import Controls
from streamstyle.live.styles import EngineShelf, StyleMix, choose
from streamstyle.styles import (
    DEFAULT_MODEL,
    DEFAULT_STYLE,
    Transfer,
    find_style,
    open_engine,
    read_style,
    shipped_models,
    styles_beside,
)
from tests.models import write_two_strokes, write_two_styles

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
    transfer = Transfer(stroke=stroke)
    style = f"{tmp_path / 'strokes.onnx'}:negative"
    with open_engine(style, "openvino", "cpu", "fp32", transfer) as engine:
        assert (np.abs(engine.paint(FRAMES).astype(int) - level) <= 1).all()
    shelf = EngineShelf(partial(choose, backend="openvino", precision="fp32"))
    mix = StyleMix(shelf)
    controls = Controls(style=style, stroke=stroke)
    try:
        while not (layers := mix.layers(controls, ((32, 32),), 10.0)[0]):
            time.sleep(0.01)
        (layer,) = layers
        painted = layer.engine.paint(FRAMES, layer.inputs)
    finally:
        shelf.close()
    assert (np.abs(painted.astype(int) - level) <= 1).all()


def test_a_stroke_that_is_none(model: Path) -> None:
    with pytest.raises(UserError, match=r"two.onnx has strokes of one size; leave out --stroke"):
        open_engine(model, transfer=Transfer(stroke=0.7))
    with pytest.raises(UserError, match="a stroke is from 0 to 1, got 2"):
        Transfer(stroke=2)


def test_a_path_names_a_file_too(model: Path) -> None:
    assert find_style(model) == find_style(str(model))


def test_a_style_that_the_file_does_not_have(model: Path) -> None:
    with pytest.raises(UserError, match=r"two.onnx has no style positive; it has same, negative"):
        open_engine(f"{model}:positive")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the model"):
        open_engine(tmp_path / "missing.onnx")


def test_every_style_of_every_model_that_ships_is_found() -> None:
    for model, path in shipped_models().items():
        if takes_pictures(read_card(path)):
            assert styles_beside(model) == ([], 0)
            continue
        names, first = styles_beside(model)
        assert first == 0
        for number, name in enumerate(names):
            card, found = find_style(name)
            assert (card.path, found) == (path, number)
            assert name == f"{model}:{card.styles[number].name}"


def test_a_name_alone_is_of_the_default_model() -> None:
    assert find_style(DEFAULT_STYLE) == find_style(f"{DEFAULT_MODEL}:{DEFAULT_STYLE}")
    names, number = styles_beside("great-wave")
    assert names[number] == "great-wave"
    assert names[0] == DEFAULT_STYLE


def test_styles_beside_one_of_a_file(model: Path) -> None:
    names = [f"{model}:same", f"{model}:negative"]
    assert styles_beside(f"{model}:negative") == (names, 1)
    assert styles_beside(str(model)) == (names, 0)


def test_a_model_that_does_not_ship() -> None:
    with pytest.raises(UserError, match=r"no model huge; there is .*medium"):
        find_style("huge:starry-night")


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(UserError, match=r"did you mean starry-night\?"):
        open_engine("stary-night")


def test_a_mix_may_be_longer_than_a_name_of_a_file() -> None:
    names, _ = styles_beside(DEFAULT_STYLE)
    mix = "+".join(f"{name}=0.25" for name in names)
    assert len(mix) > 255
    _, inputs = read_style(mix)
    np.testing.assert_allclose(inputs[STYLE_WEIGHTS], 1 / len(names))
