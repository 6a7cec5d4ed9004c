"""A painted file keeps the original's size, orientation, pixel aspect and colors."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines import Engine
from streamstyle import Clip, Look, UserError, paint_video
from streamstyle.media import color as colors
from streamstyle.media.color import Converter
from tests.helpers.clips import (
    BLUE,
    BT601,
    BT709,
    FULL,
    GREEN,
    GREY,
    LIMITED,
    RED,
    Recipe,
    make_clip,
)


@pytest.mark.parametrize("size", [(65, 48), (64, 49), (65, 49), (17, 16)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_odd_sizes_stay(painted, size: tuple[int, int], suffix: str) -> None:
    if suffix == ".mp4":
        recipe = Recipe(size=size, pixel_format="yuv444p", pts=range(3))
    else:
        recipe = Recipe(size=size, codec="libvpx-vp9", pts=range(3))
    before, after, _ = painted(recipe, suffix)
    assert after.frames[0].shape == (size[1], size[0], 3)
    assert after.pixel_format == before.pixel_format
    assert np.abs(after.frames[0].astype(int) - before.frames[0]).mean() < 6


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_and_mirrored_video_comes_out_upright(painted, rotation, mirrored) -> None:
    recipe = Recipe(rotation=rotation, mirrored=mirrored, pts=range(3))
    before, after, _ = painted(recipe)
    upright = before.frames[0]
    upright = np.rot90(upright, rotation // 90)
    if mirrored:
        upright = upright[:, ::-1]
    assert after.rotation == 0
    assert after.frames[0].shape == upright.shape
    assert np.abs(after.frames[0].astype(int) - upright).mean() < 6


def test_pixel_aspect_stays(painted) -> None:
    _, after, _ = painted(Recipe(pixel_aspect=Fraction(16, 11)))
    assert after.pixel_aspect == Fraction(16, 11)


def test_images_do_not_tell_the_pixel_aspect(tmp_path: Path, inverter: Engine) -> None:
    clip = make_clip(tmp_path / "in.mkv", Recipe(pixel_aspect=Fraction(16, 11), pts=range(2)))
    report = paint_video(clip, f"{tmp_path / 'frames'}/", engine=inverter)
    assert report.notes == (
        "the pixels of in.mkv are not square (16/11), which PNG images can't say",
    )


def test_pixel_aspect_of_a_turned_video_turns_with_it(painted) -> None:
    _, after, _ = painted(Recipe(pixel_aspect=Fraction(16, 11), rotation=90))
    assert after.pixel_aspect == Fraction(11, 16)


@pytest.mark.parametrize("matrix", [BT601, BT709])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
def test_colors_and_their_tags_stay(painted, matrix: int, color_range: int) -> None:
    recipe = Recipe(color=(matrix, color_range), bars=(GREEN, RED, BLUE, GREY), pts=range(3))
    before, after, _ = painted(recipe)
    assert (after.matrix, after.color_range) == (matrix, color_range)
    for number, color in enumerate((GREEN, RED, BLUE, GREY)):
        middle = 64 * number // 4 + 8
        shown = after.frames[1][24, middle].astype(int)
        assert np.abs(shown - color).max() <= 4, f"{color} is shown as {shown}"
    assert after.frames[1][24, 8, 1] >= 252  # pure green; without tags it becomes 214
    assert np.abs(after.frames[1].astype(int) - before.frames[1]).mean() < 2


@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_untagged_colors_stay_untagged_and_the_same(painted, size: tuple[int, int]) -> None:
    before, after, _ = painted(Recipe(size=size, bars=(GREEN, RED, BLUE, GREY), pts=range(2)))
    assert before.matrix == after.matrix == 2
    assert np.abs(after.frames[1].astype(int) - before.frames[1]).mean() < 2


def test_untagged_colors_stay_when_the_size_changes_what_a_player_assumes(painted) -> None:
    recipe = Recipe(size=(1280, 720), pts=range(2))
    _, after, _ = painted(recipe, look=Look(strength=0, scale=0.25, resize=True))
    assert after.frames[0].shape == (180, 320, 3)
    assert after.matrix == BT709  # players assume it for untagged 1280x720


@pytest.mark.parametrize("chroma", ["yuv422p", "yuv444p"])
def test_color_sampling_stays(painted, chroma: str) -> None:
    _, after, _ = painted(Recipe(pixel_format=chroma, pts=range(3)))
    assert after.pixel_format == chroma


def test_ten_bits_are_painted_in_eight(painted) -> None:
    recipe = Recipe(pixel_format="yuv420p10le", bars=(GREEN, RED, BLUE, GREY), pts=range(3))
    _, after, report = painted(recipe)
    assert after.pixel_format == "yuv420p"
    for number, color in enumerate((GREEN, RED, BLUE, GREY)):
        shown = after.frames[1][24, 64 * number // 4 + 8].astype(int)
        # swscale can darken gray from ten bits, so gray has the tighter limit.
        assert np.abs(shown - color).max() <= (1 if color == GREY else 4), f"{color}: {shown}"
    assert any("10 bits" in note for note in report.notes)


@pytest.mark.slow
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_unless_tone_mapped(painted, tmp_path, transfer, name) -> None:
    recipe = Recipe(pixel_format="yuv420p10le", color=(9, LIMITED), transfer=transfer, pts=range(3))
    with pytest.raises(UserError, match=f"{name}.*--tonemap"):
        painted(recipe)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]
    _, after, _ = painted(recipe, clip=Clip(tonemap=True))
    assert (after.matrix, after.pixel_format) == (BT709, "yuv420p")
    assert after.frames[1].std() > 10


@pytest.mark.parametrize(("width", "height"), [(640, 360), (641, 359), (16, 17)])
@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p", "yuv444p"])
def test_threads_convert_to_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, kind: str
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    made = []
    for cores in (1, 2, 3, 64):
        monkeypatch.setattr("streamstyle.system.cores", lambda cores=cores: cores)
        converter = Converter()
        frame = converter.from_rgb(image, colors.BT709, kind)
        rows = [
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
            for plane in frame.planes
        ]
        made.append([*rows, converter.to_rgb(frame, colors.BT709)])
    for others in made[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(made[0], others, strict=True))


@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("qtrle", "argb"), ("png", "rgba"), ("prores_ks", "yuva444p10le")]
)
@pytest.mark.parametrize("opacity", [255, 100])
def test_transparency_is_not_lost_in_silence(
    tmp_path: Path, inverter: Engine, codec: str, pixel_format: str, opacity: int
) -> None:
    source = tmp_path / "in.mov"
    image = np.full((48, 64, 4), 255, np.uint8)
    with av.open(source, "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for left in (255, opacity):
            image[:, :32, 3] = left
            picture = av.VideoFrame.from_ndarray(image, format="rgba")
            output.mux(stream.encode(picture.reformat(format=pixel_format)))
        output.mux(stream.encode(None))
    report = paint_video(source, tmp_path / "out.mov", engine=inverter)
    said = any("transparency of in.mov" in note for note in report.notes)
    assert said == (opacity < 255)
