"""Finding the model of a style, and painting in one style of many."""

from pathlib import Path

import numpy as np
import pytest

from engines import STYLE_WEIGHTS, EngineError
from streamstyle.errors import UserError
from streamstyle.styles import find_style, models_by_style, open_engine
from tests.models import write_two_styles

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


def test_a_path_names_a_file_too(model: Path) -> None:
    assert find_style(model) == find_style(str(model))


def test_a_style_that_the_file_does_not_have(model: Path) -> None:
    with pytest.raises(UserError, match=r"two.onnx has no style positive; it has same, negative"):
        open_engine(f"{model}:positive")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the model"):
        open_engine(tmp_path / "missing.onnx")


def test_every_style_that_ships_is_found_by_its_name() -> None:
    for name in models_by_style():
        card, number = find_style(name)
        assert card.styles[number].name == name


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(UserError, match=r"did you mean starry-night\?"):
        open_engine("stary-night")
