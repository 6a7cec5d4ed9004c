"""A session reports what goes wrong, and everything else goes on."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines import NO_STYLE, Engine
from streamstyle.cli.main import main
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live import capture
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import Choice, EnginePool
from streamstyle.live.recorder import DEPTH, Outlet
from streamstyle.live.session import LiveSession
from streamstyle.painting.masks import open_mask
from streamstyle.sources import SourceInfo, camera
from streamstyle.sources.screen import ScreenSource
from streamstyle.styles import DEFAULT_STYLE, parse_style
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.live import (
    BLUE,
    ORANGE,
    Camera,
    Recorder,
    alone,
    color_at,
    free_port,
    is_painted,
    named,
    open_plain,
    opener_of,
    show_until,
)
from tests.helpers.models import write_inverter
from tests.helpers.screen import NEEDED, Screen


class Failing(Camera):
    """A camera whose driver fails after some frames."""

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield frame
            if frame.index == 2:
                raise OSError("the cable is loose")


def test_camera_that_fails_is_opened_again(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.5,))
    plugged: list[Camera] = []

    def plug() -> Camera:
        plugged.append(Camera() if plugged else Failing())
        return plugged[-1]

    with LiveSession(plug, Controls(named("negative")), choose=alone(open_inverter)) as session:
        problem = "camera 0 failed: the cable is loose; waiting for it"
        show_until(session, lambda _f: session.problems == (problem,))
        show_until(session, lambda f: is_painted(f) and not session.problems)
        assert plugged[0].closed


def test_file_that_fails_ends_with_an_error(open_inverter: Callable[[str], Engine]) -> None:
    with (
        LiveSession(
            Failing, Controls(named("negative")), endless=False, choose=alone(open_inverter)
        ) as session,
        pytest.raises(UserError, match="camera 0 failed: the cable is loose"),
    ):
        show_until(session, lambda _frame: False)


def test_failed_recording_is_over_and_the_next_is_a_new_one(
    open_inverter: Callable[[str], Engine], tmp_path: Path
) -> None:
    with LiveSession(Camera, Controls(named("negative")), choose=alone(open_inverter)) as session:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            session.record(folder / f"take{number}.mp4")
            folder.rmdir()
            show_until(session, lambda _f: session.problems != ())
            assert session.status().recording is None
            (problem,) = session.problems
            assert f"take{number}.mp4 was cut off" in problem
        session.record(tmp_path / "take.mp4")
        show_until(session, lambda _f: session.status().recording is not None)
        assert session.problems == ()
    assert len([note for note in session.notes if "was cut off" in note]) == 2


def test_what_a_recording_lacks_is_said() -> None:
    outlet = Outlet("recording take.mp4", Recorder(lambda _index: time.sleep(0.05)))
    for number in range(DEPTH + 20):
        outlet.put(Camera.frame(number))
    outlet.join()
    (note,) = outlet.notes
    lacking = int(note.split()[-2])
    assert 10 < lacking <= 20
    assert note == f"recording take.mp4 was too slow and lacks {lacking} frames"


def test_folder_of_pictures_may_vanish(
    open_inverter: Callable[[str], Engine], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48), ORANGE).save(folder / name)
    controls = Controls(parse_style(folder / "a.png"))
    with LiveSession(Camera, controls, choose=alone(open_inverter)) as session:
        names, number = session.styles()
        assert ([*map(str, names)], number) == (
            [str(folder / name) for name in ("a.png", "b.png")],
            0,
        )
        shutil.rmtree(folder)
        session.next_style()
        assert str(session.controls.style) == DEFAULT_STYLE


def test_choices_of_closed_engines_are_forgotten() -> None:
    shelf = EnginePool(lambda style: Choice(style, (NO_STYLE,), lambda: open_plain("dark")))
    for number in range(12):
        style = f"picture {number}"
        while shelf.get(style, (64, 48)) is None:
            time.sleep(0.01)
        shelf.use(shelf, frozenset({style}), ((64, 48),))
    assert shelf._choices.keys() == shelf._engines.keys()
    shelf.close()


def test_outside_of_a_mask_nothing_is_touched(
    open_inverter: Callable[[str], Engine], tmp_path: Path
) -> None:
    """Holds at every size that the network works at."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    black_on_the_right = np.zeros((480, 640), np.uint8)
    black_on_the_right[:, :320] = 255
    Image.fromarray(black_on_the_right).save(tmp_path / "mask.png")

    class Noisy(Camera):
        def __init__(self) -> None:
            super().__init__()
            self.info = SourceInfo("camera 0", None, 640, 480, None)

        def __iter__(self) -> Iterator[Frame]:
            return (frame.with_image(noise) for frame in super().__iter__())

    mask = open_mask(str(tmp_path / "mask.png"))
    controls = Controls(named("negative"))
    with LiveSession(Noisy, controls, choose=alone(open_inverter), mask=mask) as session:
        for _ in range(5):
            session.quality(-1)
        shown = show_until(session, lambda f: session.size[0] < 400 and color_at(f, 0.1) != BLUE)
        shown = show_until(session, lambda f: not np.array_equal(f.image, noise))
    assert np.array_equal(shown.image[:, 400:], noise[:, 400:])
    assert not np.array_equal(shown.image[:, :240], noise[:, :240])


@pytest.mark.parametrize("wrong", [{"steady": 7.0}, {"strength": -3.0}])
def test_controls_are_from_0_to_1(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must be from 0 to 1, got"):
        Controls(**wrong)  # type: ignore[arg-type]


def test_camera_may_have_a_dot_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list stands in for webcams, which no test machine has."""
    monkeypatch.setattr(camera, "cameras", lambda: {97: "USB2.0 HD UVC WebCam"})
    opener, endless = opener_of("USB2.0 HD UVC WebCam")
    assert endless
    with pytest.raises(UserError, match="camera 97 cannot be opened"):
        opener()


# Without a window, nobody can change a bad setting


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--style", "nonsense"], "medium.onnx has no style nonsense"),
        (["--engine", "onnxruntime", "--device", "toaster"], "no device toaster"),
        (["--engine", "openvino", "--stream", "tcp://127.0.0.1:{port}"], "stream to tcp://"),
        (["--record", "{taken}"], "record into another file"),
    ],
)
def test_nothing_to_wait_for_is_one_sentence(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inverter(tmp_path / "net.onnx")
    (tmp_path / "taken.mp4").touch()
    named = {"port": free_port(), "taken": tmp_path / "taken.mp4"}
    style = [] if "--style" in options else ["--style", str(tmp_path / "net.onnx")]
    filled = [option.format(**named) for option in options]
    assert main(["live", "pattern:testsrc", "--no-window", *style, *filled]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert (tmp_path / "taken.mp4").stat().st_size == 0


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {' and '.join(NEEDED)}")
def test_screen_and_what_is_not_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(tmp_path)
    try:
        monkeypatch.setenv("DISPLAY", screen.name)
        with ScreenSource("10,20,64x48", 30) as source:
            frame = next(iter(source))
            assert np.array_equal(frame.image, screen.look()[20:68, 10:74])
        with pytest.raises(UserError, match="the screen cannot be read"):
            ScreenSource("0,0,5000x100", 30)
    finally:
        screen.close()


@pytest.mark.slow
def test_hdr_is_refused_with_a_way_out_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inverter(tmp_path / "inverter.onnx")
    hlg = Recipe(codec="libx265", pixel_format="yuv420p10le", color=(9, 1), transfer=18)
    clip = make_clip(tmp_path / "hlg.mp4", hlg)
    command = ["live", str(clip), "--no-window", "--style", str(tmp_path / "inverter.onnx")]
    assert main(command) == 2
    advice = re.search(r"add (--\w+)", capsys.readouterr().err)
    assert advice is not None
    assert main([*command, advice[1], "--record", str(tmp_path / "out.mp4")]) == 0
