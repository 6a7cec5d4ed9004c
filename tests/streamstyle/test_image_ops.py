"""Operations on pictures."""

import numpy as np
import pytest

from streamstyle.image_ops import resized


@pytest.mark.parametrize(("width", "height"), [(8, 4), (4, 8), (4, 4)])
def test_a_smaller_picture_averages(width: int, height: int) -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2 * np.uint8(254)
    picture = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    assert np.unique(resized(picture, width, height)).tolist() == [127]
