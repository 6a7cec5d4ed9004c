"""Painting only a part of the picture, and keeping the original's colors."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from engines import NO_STYLE, Engine, EngineError, Placement, Style
from engines.graphs import open_graph
from engines.openvino_.engine import KEPT_SIZES
from streamstyle import (
    Clip,
    ImageSettings,
    Look,
    Region,
    UserError,
    VideoSettings,
    paint_image,
    paint_video,
)
from streamstyle.cli.main import main
from streamstyle.frame import Frame
from streamstyle.live.controls import Controls
from streamstyle.live.session import LiveSession
from streamstyle.painting.masks import open_mask
from tests.helpers.clips import RED, Recipe, make_clip, needs_encoder, read_clip
from tests.helpers.live import (
    BLUE,
    ORANGE,
    Camera,
    Plain,
    alone,
    color_at,
    named,
    open_plain,
    show_until,
)
from tests.helpers.models import write_segmentation

SIZE = (96, 64)  # width, height


def half_white(width: int = 30, height: int = 20) -> np.ndarray:
    """Return a mask (H, W, 3) that is white in the left half."""
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:, : width // 2] = 255
    return mask


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    path = tmp_path / "mask.png"
    Image.fromarray(half_white()).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", SIZE, ORANGE).save(path)
    return path


def sides(image: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the colors near the left and the right edge, in the middle row."""
    middle = image.shape[0] // 2
    left, right = image[middle, 5], image[middle, -5]
    return tuple(map(int, left)), tuple(map(int, right))


@pytest.mark.parametrize(
    ("inverted", "left", "right"), [(False, BLUE, ORANGE), (True, ORANGE, BLUE)]
)
def test_inside_and_outside_of_an_image(
    tmp_path: Path, inverter: Engine, photo: Path, mask: Path, inverted: bool, left, right
) -> None:
    out = tmp_path / "out.png"
    paint_image(
        photo, out, engine=inverter, settings=ImageSettings(region=Region(str(mask), inverted))
    )
    painted = np.asarray(Image.open(out))
    assert sides(painted) == (left, right)
    edge = painted[32, 40:56].astype(int)
    assert len(np.unique(edge[:, 0])) > 2  # soft edge
    assert (np.diff(edge[:, 0]) * np.sign(right[0] - left[0]) >= 0).all()  # no halo


def test_two_styles(tmp_path: Path, inverter: Engine, photo: Path, mask: Path) -> None:
    out = tmp_path / "out.png"
    with open_plain("grey") as grey:
        grey.prepare(SIZE[1], SIZE[0])
        grey.reset_state = lambda: None  # type: ignore[method-assign]
        paint_image(
            photo,
            out,
            engine=inverter,
            settings=ImageSettings(region=Region(str(mask), elsewhere=grey)),
        )
    assert sides(np.asarray(Image.open(out))) == (BLUE, (100, 100, 100))


def test_a_steadied_video_is_untouched_outside_of_its_mask(
    tmp_path: Path, mask: Path, inverter: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture moves and the painting flickers; lossless codecs make the comparison exact."""
    levels = itertools.cycle([90, 150])
    monkeypatch.setattr(inverter, "paint", lambda f, _: np.full_like(f, next(levels)))
    clip = make_clip(tmp_path / "in.mkv", Recipe(size=SIZE, codec="ffv1", pts=range(8)))
    region = Region(str(mask))
    frames = tmp_path / "painted"
    paint_video(
        clip,
        f"{frames}/",
        engine=inverter,
        settings=VideoSettings(look=Look(steady=1.0), region=region),
    )
    painted = [np.asarray(Image.open(path)).astype(int) for path in sorted(frames.iterdir())]
    for before, after in zip(read_clip(clip).frames, painted, strict=True):
        assert np.array_equal(after[:, 60:], before[:, 60:])
    inside = [frame[:, :36].mean() for frame in painted]
    assert np.ptp(inside[3:]) < 40  # steadied; the flicker is 60


def test_live_is_untouched_outside_of_its_mask_however_steady(mask: Path) -> None:
    flickering = itertools.cycle([90, 150])

    class Flickering(Plain):
        def paint(self, frames: np.ndarray, style: Style = NO_STYLE) -> np.ndarray:
            return np.full_like(frames, next(flickering))

    controls = Controls(named("x"), steady=1.0)
    opened = open_mask(str(mask))
    choose = alone(lambda _style: Flickering(0))  # type: ignore[arg-type, return-value]
    with LiveSession(Camera, controls, choose=choose, mask=opened) as session:
        show_until(session, lambda frame: color_at(frame, 0.3) != ORANGE)
        for _ in range(5):
            shown = show_until(session, lambda _frame: True)
            assert np.array_equal(shown.image[:, 60:], Camera.frame(0).image[:, 60:])


def test_the_opacity_of_an_image_is_a_mask(tmp_path: Path, inverter: Engine, photo: Path) -> None:
    mask = np.full((20, 30, 4), 7, np.uint8)
    mask[..., 3] = half_white()[..., 0]
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    paint_image(
        photo,
        out,
        engine=inverter,
        settings=ImageSettings(region=Region(str(tmp_path / "mask.png"))),
    )
    assert sides(np.asarray(Image.open(out))) == (BLUE, ORANGE)


def test_a_video_is_a_mask_for_the_frames_of_its_time(tmp_path: Path, inverter: Engine) -> None:
    white, black = (255, 255, 255), (0, 0, 0)
    recipe = Recipe(size=SIZE, bars=[RED], pts=range(10))
    clip = make_clip(tmp_path / "in.mp4", recipe)
    bars = Recipe(size=SIZE, bars=[white, black], pts=range(4))  # at half the rate, and shorter
    mask = make_clip(tmp_path / "mask.mkv", bars)
    painted = tmp_path / "out.mp4"
    paint_video(clip, painted, engine=inverter, settings=VideoSettings(region=Region(str(mask))))
    contents = read_clip(painted)
    assert len(contents.frames) == 10
    for frame in contents.frames:
        left, right = sides(frame)
        assert np.abs(np.subtract(left, (0, 255, 255))).max() < 12
        assert np.abs(np.subtract(right, RED)).max() < 12


@needs_encoder("libx265")
def test_a_mask_may_be_filmed_in_high_dynamic_range(tmp_path: Path) -> None:
    recipe = Recipe(
        size=SIZE,
        bars=[(255, 255, 255), (0, 0, 0)],
        pts=range(2),
        codec="libx265",
        pixel_format="yuv420p10le",
        color=(9, 1),
        transfer=16,  # PQ
    )
    with open_mask(str(make_clip(tmp_path / "mask.mkv", recipe))) as mask:
        part = mask(Frame(np.zeros((64, 96, 3), np.uint8), 0, Fraction(0)))[..., 0]
    assert part[32, 24] > 0.9
    assert part[32, 72] < 0.1


def test_a_mask_that_moves_is_taken_at_the_frame_s_time(tmp_path: Path) -> None:
    mask = make_clip(tmp_path / "mask.mp4", Recipe(size=SIZE, pts=range(25)))  # a moving gradient
    opened = open_mask(str(mask))
    shown = read_clip(mask)
    for index in (0, 7, 24, 0, 7):  # then from the start, as in a loop
        frame = Frame(np.zeros((64, 96, 3), np.uint8), index, 100 + Fraction(index, 25))
        part = opened(frame)[..., 0]
        wanted = shown.frames[index].max(axis=2) / 255
        assert np.abs(part - wanted)[8:-8, 8:-8].mean() < 0.02, index
    opened.close()


def test_a_mask_begins_where_the_painted_part_does(tmp_path: Path, inverter: Engine) -> None:
    """The mask video is black up to the middle, then white."""
    clip = make_clip(tmp_path / "in.mp4", Recipe(size=SIZE, bars=[RED], pts=range(20)))
    mask = tmp_path / "mask.mp4"
    with av.open(mask, "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1", "g": "4"})
        stream.width, stream.height = SIZE
        for index in range(20):
            image = np.full((SIZE[1], SIZE[0], 3), 255 * (index >= 10), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    painted = tmp_path / "out.mp4"
    part = Clip(Fraction(31, 100), Fraction(8, 25))  # frames 8 to 15
    paint_video(
        clip, painted, engine=inverter, settings=VideoSettings(region=Region(str(mask)), clip=part)
    )
    negative = [frame[32, 48, 0] < 128 for frame in read_clip(painted).frames]
    assert negative == [False, False, *[True] * 6]


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_network_that_segments(
    tmp_path: Path, channels_last: bool, classes: int, fixed: bool
) -> None:
    write_segmentation(tmp_path / "net.onnx", channels_last, classes, fixed)
    for placement in (Placement("openvino", "cpu", "fp32"), Placement("onnxruntime", "cpu")):
        mask = open_mask(str(tmp_path / "net.onnx"), placement=placement)
        part = mask(Frame(half_white(300, 200), 0, 0))  # type: ignore[arg-type]
        assert part.shape == (200, 300, 1)
        assert part[100, 10] > 0.99
        assert part[100, -10] < 0.01


def test_a_network_that_segments_runs_where_it_is_told(tmp_path: Path) -> None:
    write_segmentation(tmp_path / "net.onnx", channels_last=False, classes=1, fixed=False)
    for device, words in (("npu", "sees no device npu"), ("cuda", "CUDA|cuda")):
        backend = "openvino" if device == "npu" else "onnxruntime"
        with pytest.raises(EngineError, match=words):
            open_mask(str(tmp_path / "net.onnx"), placement=Placement(backend, device))


def test_a_network_that_segments_keeps_few_sizes(tmp_path: Path) -> None:
    write_segmentation(tmp_path / "net.onnx", channels_last=False, classes=1, fixed=False)
    graph = open_graph(tmp_path / "net.onnx", Placement("openvino"))
    for side in range(8, 8 + 2 * KEPT_SIZES):
        outputs = graph({"picture": np.zeros((1, 3, side, side), np.float32)})
        assert outputs["subject"].shape == (1, 1, side, side)
    assert len(graph._requests) == KEPT_SIZES  # type: ignore[attr-defined]


def test_painting_keeps_the_original_s_colors(tmp_path: Path, inverter: Engine) -> None:
    Image.new("RGB", SIZE, (200, 90, 60)).save(tmp_path / "in.png")
    out = tmp_path / "out.png"
    paint_image(
        tmp_path / "in.png",
        out,
        engine=inverter,
        settings=ImageSettings(look=Look(keep_colors=True)),
    )
    before = Image.new("RGB", (1, 1), (200, 90, 60)).convert("YCbCr").getpixel((0, 0))
    after = Image.open(out).convert("YCbCr").getpixel((5, 5))
    assert abs(after[0] - (255 - before[0])) <= 2  # the luma is the negative's
    assert abs(after[1] - before[1]) <= 2
    assert abs(after[2] - before[2]) <= 2


def test_live_inside_of_a_mask(open_inverter: Callable[[str], Engine], mask: Path) -> None:
    chosen = alone(open_inverter)
    controls = Controls(named("negative"))
    with LiveSession(Camera, controls, choose=chosen, mask=open_mask(str(mask))) as session:
        shown = show_until(session, lambda frame: color_at(frame, 0.3) == BLUE)
        assert color_at(shown, 0.9) == ORANGE


def test_live_with_another_style_outside(
    open_inverter: Callable[[str], Engine], mask: Path
) -> None:
    chosen = alone(lambda style: open_plain(style) if style == "grey" else open_inverter(style))
    controls = Controls(named("negative"), second_style=named("grey"))
    with LiveSession(Camera, controls, choose=chosen, mask=open_mask(str(mask))) as session:
        show_until(session, lambda f: (color_at(f, 0.3), color_at(f, 0.9)) == (BLUE, (100,) * 3))


def test_live_keeps_colors_when_told(open_inverter: Callable[[str], Engine]) -> None:
    with LiveSession(Camera, Controls(named("negative")), choose=alone(open_inverter)) as session:
        show_until(session, lambda frame: color_at(frame, 0.5) == BLUE)
        session.change(replace(session.controls, keep_colors=True))
        show_until(session, lambda frame: color_at(frame, 0.5)[0] > color_at(frame, 0.5)[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mask", "missing.png"], "missing.png does not exist"),
        (["--mask", "missing.onnx"], "there is no file missing.onnx"),
        (["--mask", "photo.png.mp4"], "photo.png.mp4"),
        (["--invert-mask"], "need a --mask"),
        (["--elsewhere", "great-wave"], "need a --mask"),
    ],
)
def test_bad_masks_are_one_sentence(
    tmp_path: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["image", str(photo), "out.png", *options]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert "Traceback" not in complaint
    assert not Path("out.png").exists()


def test_a_network_that_takes_no_picture_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "test",
        [value("x", TensorProto.FLOAT, [1, 7])],
        [value("y", TensorProto.FLOAT, [1, 7])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match="takes one picture"):
        open_mask(str(tmp_path / "net.onnx"))


def test_a_mask_is_not_overwritten(inverter: Engine, photo: Path, mask: Path) -> None:
    before = mask.read_bytes()
    with pytest.raises(UserError, match="is the input itself"):
        paint_image(
            photo,
            mask,
            engine=inverter,
            settings=ImageSettings(region=Region(str(mask)), overwrite=True),
        )
    assert mask.read_bytes() == before
