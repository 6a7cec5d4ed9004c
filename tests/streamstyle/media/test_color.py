"""Colors that a video does not state."""

import av
import pytest
from av.video.reformatter import Colorspace

from streamstyle.media.color import Color


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, Colorspace.ITU709),
        (1280, 536, Colorspace.ITU709),
        (1080, 1920, Colorspace.ITU709),
        (720, 578, Colorspace.ITU709),
        (1278, 576, Colorspace.ITU601),
        (720, 576, Colorspace.ITU601),
        (640, 480, Colorspace.ITU601),
    ],
)
def test_unstated_matrix_goes_by_the_size(width: int, height: int, expected: Colorspace) -> None:
    """As players decide: BT.709 from 1280 pixels across or more than 576 down."""
    assert Color.of(av.VideoFrame(width, height, "yuv420p")).colorspace == expected
