"""Videos that change their shape in the middle, as broadcasts and joined recordings do."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamstyle.sources import open_video
from tests.helpers.clips import Recipe, make_clip

ORANGE = (255, 128, 0)


def joined(folder: Path, *recipes: Recipe) -> Path:
    """Write one stream of several orange clips, one after the other."""
    parts = [make_clip(folder / f"{n}.ts", recipe) for n, recipe in enumerate(recipes)]
    path = folder / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def part(size: tuple[int, int], pixel_aspect: Fraction | None = None) -> Recipe:
    return Recipe(size=size, pts=range(10), bars=(ORANGE,), pixel_aspect=pixel_aspect)


def orange_box(image: np.ndarray) -> tuple[int, int]:
    """Return the width and height of what is orange; the rest must be black."""
    orange = np.abs(image.astype(int) - ORANGE).max(axis=2) < 60
    assert (orange | (image.max(axis=2) < 60)).mean() > 0.9  # but for soft edges
    return int(orange.any(axis=0).sum()), int(orange.any(axis=1).sum())


@pytest.mark.parametrize(
    ("first", "second", "box"),
    [
        (part((128, 96)), part((96, 96)), (96, 96)),
        (part((96, 96)), part((128, 64)), (96, 48)),
        (part((128, 96)), part((256, 192)), (128, 96)),
        (part((128, 96)), part((96, 96), Fraction(4, 3)), (128, 96)),
        (part((96, 96), Fraction(4, 3)), part((128, 96)), (96, 96)),
        (part((96, 96), Fraction(16, 9)), part((96, 96), Fraction(4, 3)), (72, 96)),
        (part((96, 96), Fraction(4, 3)), part((96, 96), Fraction(16, 9)), (96, 72)),
        (part((128, 72)), part((86, 48)), (128, 72)),  # the same shape but for rounding
    ],
)
def test_other_shapes_are_fitted_into_the_first(
    tmp_path: Path, first: Recipe, second: Recipe, box: tuple[int, int]
) -> None:
    with open_video(str(joined(tmp_path, first, second))) as source:
        frames = list(source)
    assert len(frames) == 20
    assert {(frame.width, frame.height) for frame in frames} == {first.size}
    assert orange_box(frames[5].image) == first.size
    assert np.abs(np.subtract(orange_box(frames[15].image), box)).max() <= 2
    assert "10 frames of another shape were fitted into that of the first" in source.notes


def test_an_even_shape_is_untouched(tmp_path: Path) -> None:
    anamorphic = part((96, 96), Fraction(16, 9))
    with open_video(str(joined(tmp_path, anamorphic, anamorphic))) as source:
        frames = list(source)
    assert {orange_box(frame.image) for frame in frames} == {(96, 96)}
    assert not [note for note in source.notes if "shape" in note]
