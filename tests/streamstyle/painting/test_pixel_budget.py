"""Models with a maximum number of pixels per frame, unless a size is given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines import open_engine, read_card
from streamstyle import ImageSettings, Look, Region, paint_image
from streamstyle.cli.bench import open_candidates
from streamstyle.live.engine_pool import choose
from streamstyle.styles import parse_style
from tests.helpers.models import write_inverter

SIDE = 32
"""Side in pixels of the largest square frame that the model below takes."""


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    path = tmp_path / "limited.onnx"
    write_inverter(path, {"most_pixels": str(SIDE**2)})
    return path


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    """A checkerboard of black and white pixels, which turns gray when scaled down."""
    pixels = np.indices((2 * SIDE, 2 * SIDE)).sum(axis=0).astype(np.uint8) % 2 * 255
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "checks.png")
    return tmp_path / "checks.png"


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def contrast(path: Path) -> float:
    return float(pixels_of(path).std())


def test_files_are_painted_smaller_unless_a_size_is_given(
    limited: Path, checks: Path, tmp_path: Path
) -> None:
    looks = {"bound": Look(), "width": Look(width=2 * SIDE), "scale": Look(scale=1.0)}
    painted = {}
    for name, look in looks.items():
        painted[name] = tmp_path / f"{name}.png"
        paint_image(checks, painted[name], limited, settings=ImageSettings(look=look))
    assert pixels_of(painted["bound"]).shape[:2] == (2 * SIDE, 2 * SIDE)
    assert contrast(painted["bound"]) < 3
    assert contrast(painted["width"]) == contrast(painted["scale"]) > 100


def test_each_side_of_a_mask_has_its_own_limit(
    limited: Path, inverter_path: Path, checks: Path, tmp_path: Path
) -> None:
    half = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    half[:, SIDE:] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    painted = tmp_path / "painted.png"
    with open_engine(limited) as outside:
        region = Region(str(tmp_path / "half.png"), elsewhere=outside)
        paint_image(checks, painted, inverter_path, settings=ImageSettings(region=region))
    pixels = pixels_of(painted)
    assert pixels[:, : SIDE // 2].std() < 3
    assert pixels[:, -SIDE // 2 :].std() > 100


def test_live_frames_are_painted_smaller(limited: Path, checks: Path) -> None:
    frames = pixels_of(checks)[np.newaxis]
    with choose(parse_style(limited)).open() as engine:
        engine.prepare(2 * SIDE, 2 * SIDE)
        painted = engine.paint(frames)
    assert painted.shape == frames.shape
    assert painted.std() < 3


def test_benchmarks_measure_what_is_painted_live(limited: Path, checks: Path) -> None:
    frames = pixels_of(checks)[np.newaxis]
    for engine in open_candidates(parse_style(limited), (2 * SIDE, 2 * SIDE)):
        with engine:
            assert engine.paint(frames).std() < 3


def test_what_is_small_enough_stays(limited: Path, inverter_path: Path) -> None:
    assert read_card(limited).within(SIDE, SIDE) == (SIDE, SIDE)
    assert read_card(inverter_path).within(7680, 4320) == (7680, 4320)
