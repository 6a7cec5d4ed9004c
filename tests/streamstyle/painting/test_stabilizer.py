"""The stabilizer, on pictures with known motion."""

import cv2
import numpy as np
import pytest

from streamstyle.frame import Image
from streamstyle.image_ops import resized
from streamstyle.painting.stabilizer import Stabilizer

HEIGHT, WIDTH = 120, 160


def scene(shift: int = 0, seed: int = 0) -> Image:
    """Return blurred noise, distinct at every place, shifted `shift` pixels to the right."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (HEIGHT // 8, (WIDTH + 160) // 8, 3)).astype(float)
    fine = np.kron(coarse, np.ones((8, 8, 1)))
    for axis in (0, 1):
        fine = sum(np.roll(fine, step, axis) for step in range(-4, 5)) / 9
    return fine[:, 80 - shift : 80 - shift + WIDTH].astype(np.uint8)


def flickering(image: Image, index: int) -> Image:
    """Return a painting of `image` whose brightness jumps from frame to frame."""
    return np.clip(image.astype(int) // 2 + 60 + 30 * (-1) ** index, 0, 255).astype(np.uint8)


def flicker(paintings: list[Image]) -> float:
    steps = np.diff(np.stack(paintings).astype(float), axis=0)
    return float(np.abs(steps).mean())


def strokes(image: Image, seed: int) -> Image:
    """Return a painting of `image` with different strokes for each seed."""
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(random.normal(0, 60, image.shape), (0, 0), 1.0)
    return np.clip(image // 2 + 64 + noise, 0, 255).astype(np.uint8)


def gradient_energy(image: Image) -> float:
    return sum(float(np.mean(np.diff(image.astype(float), axis=axis) ** 2)) for axis in (0, 1))


def test_still_picture_stops_flickering() -> None:
    stabilizer = Stabilizer()
    image = scene()
    raw = [flickering(image, index) for index in range(20)]
    steady = [stabilizer(image, painting, 1.0) for painting in raw]
    assert flicker(steady[10:]) < 0.25 * flicker(raw[10:])


@pytest.mark.parametrize("sigma", [3, 5])
def test_noise_of_the_camera_does_not_shimmer(sigma: int) -> None:
    """The painting amplifies the noise three times."""
    stabilizer = Stabilizer()
    random = np.random.default_rng(0)
    raw, steady = [], []
    for _ in range(20):
        noise = random.normal(0, sigma, (HEIGHT, WIDTH, 3))
        source = np.clip(scene() + noise, 0, 255).astype(np.uint8)
        raw.append(np.clip(scene() + 3 * noise, 0, 255).astype(np.uint8))
        steady.append(stabilizer(source, raw[-1], 1.0))
    assert flicker(steady[10:]) < 0.25 * flicker(raw[10:])


def test_without_steadiness_nothing_is_touched() -> None:
    stabilizer = Stabilizer()
    for index in range(3):
        painting = flickering(scene(), index)
        assert np.array_equal(stabilizer(scene(), painting, 0.0), painting)


def test_moving_picture_is_neither_smeared_nor_doubled() -> None:
    """A painting that follows its input exactly has to come out unchanged."""
    stabilizer = Stabilizer()
    for index in range(15):
        image = scene(shift=2 * index)
        painting = 255 - image
        steady = stabilizer(image, painting, 1.0)
    inside = (slice(10, -10), slice(40, -10))  # new content enters at the edges
    error = np.abs(steady[inside].astype(int) - painting[inside]).mean()
    assert error < 6
    assert np.std(steady[inside]) > 0.85 * np.std(painting[inside])


@pytest.mark.parametrize("pixels_a_frame", [0.2, 0.5, 1.3])
def test_slow_pan_keeps_strokes_sharp(pixels_a_frame: float) -> None:
    """The strokes follow the input exactly, while it moves by fractions of a pixel."""
    stabilizer = Stabilizer()
    wide, painted_wide = resized(scene(), 320, 240), strokes(resized(scene(), 320, 240), 0)
    for index in range(25):
        shift = np.array([[1, 0, pixels_a_frame * index], [0, 1, 0]])
        source, painting = (
            cv2.warpAffine(picture, shift, (240, 240), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
            for picture in (wide, painted_wide)
        )
        steady = stabilizer(source, painting, 1.0)
    assert gradient_energy(steady) > 0.7 * gradient_energy(painting)


def test_strokes_that_differ_from_frame_to_frame_do_not_fade() -> None:
    stabilizer = Stabilizer()
    raw = [strokes(scene(), seed) for seed in range(25)]
    steady = [stabilizer(scene(), painting, 1.0) for painting in raw]
    assert flicker(steady[10:]) < 0.3 * flicker(raw[10:])
    assert 0.65 < gradient_energy(steady[-1]) / gradient_energy(raw[-1]) < 1.2


@pytest.mark.parametrize("plain", [True, False])
def test_moving_square_leaves_no_trail(plain: bool) -> None:
    """The painting has a halo around the square that is wider than the square."""
    stabilizer = Stabilizer()
    background = np.full((HEIGHT, WIDTH, 3), 150, np.uint8) if plain else scene()
    for index in range(15):
        left = 10 + 6 * index
        source, painting = background.copy(), background.copy()
        source[40:80, left : left + 30] = (30, 60, 90)
        painting[35:85, left - 5 : left + 35] = (200, 40, 0)
        steady = stabilizer(source, painting, 1.0)
    behind = (slice(35, 85), slice(10, left - 5))
    error = np.abs(steady[behind].astype(int) - painting[behind])
    assert error.mean() < 2
    assert np.percentile(error, 99) < 40


def test_old_paint_goes_entirely() -> None:
    stabilizer = Stabilizer()
    for level in [100] * 5 + [103] * 40:
        painting = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
        steady = stabilizer(scene(), painting, 1.0)
    assert np.array_equal(steady, painting)


def test_scene_cut_leaves_nothing_of_the_last_scene() -> None:
    stabilizer = Stabilizer()
    for index in range(5):
        stabilizer(scene(), flickering(scene(), index), 1.0)
    after = scene(seed=1)
    painting = flickering(after, 0)
    assert np.array_equal(stabilizer(after, painting, 1.0), painting)


def test_what_appears_is_shown_at_once() -> None:
    stabilizer = Stabilizer()
    image = scene()
    for _ in range(10):
        stabilizer(image, image, 1.0)
    with_box = image.copy()
    with_box[40:80, 60:100] = (255, 0, 0)
    steady = stabilizer(with_box, with_box, 1.0)
    assert np.abs(steady[45:75, 65:95].astype(int) - (255, 0, 0)).max() < 12


def test_change_of_size_does_not_flicker() -> None:
    """If the network's size changes, the input is also seen at the new size."""
    stabilizer = Stabilizer()
    steady = []
    for index, width in enumerate([160] * 10 + [128] * 10 + [208] * 10):
        source = resized(scene(), width, round(width * HEIGHT / WIDTH))
        painting = stabilizer(source, flickering(source, index), 1.0)
        assert painting.shape == source.shape
        steady.append(resized(painting, WIDTH, HEIGHT))
    unsteadied = flicker([flickering(scene(), index) for index in range(2)])
    for change in (10, 20):
        assert flicker(steady[change - 1 : change + 1]) < 0.25 * unsteadied


@pytest.mark.parametrize("size", [(96, 72), (320, 240)])
def test_painting_may_have_another_size(size: tuple[int, int]) -> None:
    stabilizer = Stabilizer()
    for index in range(3):
        painting = np.full((size[1], size[0], 3), 100 + index, np.uint8)
        assert stabilizer(scene(), painting, 0.5).shape == painting.shape
