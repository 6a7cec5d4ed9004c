"""The stabiliser, on pictures whose motion is known."""

import numpy as np
import pytest

from streamstyle.frame import Image
from streamstyle.live.stabiliser import Stabiliser

HEIGHT, WIDTH = 120, 160


def scene(shift: int = 0, seed: int = 0) -> Image:
    """Blurred noise, in which every place is recognisable, `shift` pixels further right."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (HEIGHT // 8, (WIDTH + 160) // 8, 3)).astype(float)
    fine = np.kron(coarse, np.ones((8, 8, 1)))
    for axis in (0, 1):
        fine = sum(np.roll(fine, step, axis) for step in range(-4, 5)) / 9
    return fine[:, 80 - shift : 80 - shift + WIDTH].astype(np.uint8)


def flickering(image: Image, index: int) -> Image:
    """A painting of `image` whose brightness jumps from frame to frame."""
    return np.clip(image.astype(int) // 2 + 60 + 30 * (-1) ** index, 0, 255).astype(np.uint8)


def flicker(paintings: list[Image]) -> float:
    steps = np.diff(np.stack(paintings).astype(float), axis=0)
    return float(np.abs(steps).mean())


def test_still_picture_stops_flickering() -> None:
    stabiliser = Stabiliser()
    image = scene()
    raw = [flickering(image, index) for index in range(20)]
    steady = [stabiliser(image, painting, 1.0) for painting in raw]
    assert flicker(steady[10:]) < 0.25 * flicker(raw[10:])


def test_without_steadiness_nothing_is_touched() -> None:
    stabiliser = Stabiliser()
    for index in range(3):
        painting = flickering(scene(), index)
        assert np.array_equal(stabiliser(scene(), painting, 0.0), painting)


def test_moving_picture_is_neither_smeared_nor_doubled() -> None:
    """A painting that follows its input exactly has to come out as it is."""
    stabiliser = Stabiliser()
    for index in range(15):
        image = scene(shift=2 * index)
        painting = 255 - image
        steady = stabiliser(image, painting, 1.0)
    inside = (slice(10, -10), slice(40, -10))  # what came in at the edge was never seen before
    error = np.abs(steady[inside].astype(int) - painting[inside]).mean()
    assert error < 6
    assert np.std(steady[inside]) > 0.85 * np.std(painting[inside])


def test_scene_cut_leaves_nothing_of_the_last_scene() -> None:
    stabiliser = Stabiliser()
    for index in range(5):
        stabiliser(scene(), flickering(scene(), index), 1.0)
    after = scene(seed=1)
    painting = flickering(after, 0)
    assert np.array_equal(stabiliser(after, painting, 1.0), painting)


def test_what_appears_is_shown_at_once() -> None:
    stabiliser = Stabiliser()
    image = scene()
    for _ in range(10):
        stabiliser(image, image, 1.0)
    with_box = image.copy()
    with_box[40:80, 60:100] = (255, 0, 0)
    steady = stabiliser(with_box, with_box, 1.0)
    assert np.abs(steady[45:75, 65:95].astype(int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize("size", [(96, 72), (320, 240)])
def test_painting_may_have_another_size(size: tuple[int, int]) -> None:
    stabiliser = Stabiliser()
    for index in range(3):
        painting = np.full((size[1], size[0], 3), 100 + index, np.uint8)
        assert stabiliser(scene(), painting, 0.5).shape == painting.shape
