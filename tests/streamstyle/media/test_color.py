"""Colors that a video does not state."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from streamstyle.media.color import BT709, Color, Converter

LIMITED, FULL = 1, 2
BT601_MATRIX, BT709_MATRIX, BT2020_MATRIX = 6, 1, 9
LUMA = {
    BT601_MATRIX: (0.299, 0.114),
    BT709_MATRIX: (0.2126, 0.0722),
    BT2020_MATRIX: (0.2627, 0.0593),
}
CELL = 16


def colored_cells() -> np.ndarray:
    """Return 300 cells of one color each, (12, 25, 3)."""
    return np.random.default_rng(0).integers(20, 236, (12, 25, 3)).astype(np.uint8)


def centers(image: np.ndarray, rows: int = 12) -> np.ndarray:
    cell = image.shape[0] // rows
    return image[cell // 2 :: cell, cell // 2 :: cell].astype(float)


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
def test_conversion_is_that_of_the_standard(
    matrix: int, color_range: int, pixel_format: str
) -> None:
    """By the equations of H.273, to within rounding, and neither darker nor tinted on average."""
    cells = colored_cells()
    color = replace(BT709, matrix=matrix, range=color_range)
    converter = Converter()
    frame = converter.from_rgb(
        np.kron(cells, np.ones((CELL, CELL, 1), np.uint8)), color, pixel_format
    )

    red, green, blue = np.moveaxis(cells.astype(float), -1, 0)
    kr, kb = LUMA[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if color_range == LIMITED:
        expected = [16 + luma * 219 / 255, *(128 + c * 224 / 255 for c in chroma)]
    else:
        expected = [luma, *(128 + c for c in chroma)]
    for plane, right in zip(frame.planes, expected, strict=True):
        samples = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
        high, wide = plane.height // 12, plane.width // 25
        error = samples[high // 2 :: high, wide // 2 :: wide] - right
        assert np.abs(error).max() < 0.6
        assert abs(error.mean()) < 0.1

    back = centers(converter.to_rgb(frame, color)) - cells
    assert np.abs(back).max() <= 2
    assert np.abs(back.mean((0, 1))).max() < 0.1


@pytest.mark.parametrize("pixel_format", ["nv12", "p010le", "yuv420p10le", "yuv422p10le", "gray"])
def test_other_formats_are_not_darkened(pixel_format: str) -> None:
    gray = np.repeat(colored_cells()[..., :1], 3, -1)
    frame = Converter().from_rgb(
        np.kron(gray, np.ones((CELL, CELL, 1), np.uint8)), BT709, pixel_format
    )
    error = centers(Converter().to_rgb(frame, BT709)) - gray
    assert np.abs(error).max() <= 1
    assert abs(error.mean()) < 0.1


@pytest.mark.parametrize("codec", ["libx264", "mjpeg", "ffv1"])
def test_chroma_samples_come_back(codec: str, tmp_path: Path) -> None:
    """Wherever the codec says that they lie; H.264 says left of the cell's center."""
    image = np.full((48, 64, 3), 128, np.uint8)
    image[:, 16:32], image[:, 32:48], image[20:30] = (90, 160, 90), (160, 90, 90), (90, 90, 160)
    path = tmp_path / "in.nut"
    with av.open(path, "w") as output:
        stream = output.add_stream(codec, 25, options={"crf": "0"} if codec == "libx264" else {})
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        output.mux(stream.encode())
    with av.open(path) as file:
        before = next(file.decode(video=0))
    color = Color.of(before)
    after = Converter().from_rgb(Converter().to_rgb(before, color), color, "yuv420p")
    for old, new in zip(before.planes, after.planes, strict=True):
        samples = [
            np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width] for p in (old, new)
        ]
        assert np.abs(samples[0].astype(int) - samples[1]).max() <= 1


def test_chroma_is_averaged() -> None:
    """A fine pattern of red and blue becomes purple, not one of both."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, ::2] = (200, 0, 0)
    image[:, 1::2] = (0, 0, 200)
    color = replace(BT709, range=FULL)
    frame = Converter().from_rgb(image, color, "yuv420p")
    kr, kb = LUMA[BT709_MATRIX]
    luma = (kr * 200 + kb * 200) / 2
    inside = np.s_[4:12, 4:12]
    for plane, factor in zip(frame.planes[1:], (2 - 2 * kb, 2 - 2 * kr), strict=True):
        samples = np.frombuffer(plane, np.uint8).reshape(16, -1)[inside]
        assert abs(samples.mean() - (128 + (100 - luma) / factor)) < 1


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
