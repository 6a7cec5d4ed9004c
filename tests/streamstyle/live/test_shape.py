"""Live painting keeps the shape of pictures whose pixels are not square."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines import Engine
from streamstyle.live.controls import Controls
from streamstyle.live.display import Display
from streamstyle.live.session import LiveSession
from streamstyle.sinks.virtual_camera import VirtualCameraSink
from streamstyle.sources import open_video
from tests.helpers.clips import Recipe, make_clip, read_clip
from tests.helpers.live import (
    ORANGE,
    Camera,
    alone,
    color_at,
    named,
    opener_of,
    show_until,
)
from tests.helpers.screen import NEEDED, Screen

WIDE = Fraction(64, 45)
"""Pixel aspect of a PAL broadcast in 16:9."""


@pytest.mark.parametrize(("rotation", "aspect"), [(0, WIDE), (90, 1 / WIDE)])
def test_recording_and_snapshot_of_pixels_that_are_not_square(
    tmp_path: Path, open_inverter: Callable[[str], Engine], rotation: int, aspect: Fraction
) -> None:
    recipe = Recipe(size=(96, 72), pixel_aspect=WIDE, rotation=rotation, bars=(ORANGE,))
    opener, endless = opener_of(str(make_clip(tmp_path / "clip.mp4", recipe)), loop=True)
    width, height = (72, 96) if rotation else (96, 72)
    with LiveSession(
        opener, Controls(named("negative")), endless=endless, choose=alone(open_inverter)
    ) as session:
        session.record(tmp_path / "out.mp4")
        show_until(session, lambda frame: color_at(frame, 0.5)[2] > 200)
        session.snapshot(tmp_path / "out.png")
    recorded = read_clip(tmp_path / "out.mp4")
    assert recorded.pixel_aspect == aspect
    assert recorded.frames[0].shape == (height, width, 3)
    with Image.open(tmp_path / "out.png") as snapshot:
        assert snapshot.size == (round(width * aspect), height)


def test_source_that_returns_with_other_pixels_is_fitted(
    tmp_path: Path, open_inverter: Callable[[str], Engine]
) -> None:
    orange = Recipe(size=(96, 96), bars=(ORANGE,), pts=range(3))
    wide = Recipe(size=(96, 96), bars=(ORANGE,), pixel_aspect=Fraction(2), pts=range(3))
    clips = [make_clip(tmp_path / "0.mp4", orange), make_clip(tmp_path / "1.mp4", wide)]
    with LiveSession(
        lambda: open_video(str(clips.pop(0) if len(clips) > 1 else clips[0])),
        Controls(named("negative")),
        choose=alone(open_inverter),
    ) as session:

        def has_bars(frame: object) -> bool:
            image = frame.image  # type: ignore[attr-defined]
            return bool(image[5, 48].min() > 240)  # black bars are painted white

        frame = show_until(session, has_bars)
    assert (frame.width, frame.height) == (96, 96)
    rows = np.flatnonzero(frame.image[:, 48, 0] < 120)
    assert abs(len(rows) - 48) <= 2


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {' and '.join(NEEDED)}")
def test_window_shows_pixels_as_wide_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(tmp_path)
    monkeypatch.setenv("DISPLAY", screen.name)
    try:
        with Display("wide", 90, 72, WIDE) as display:
            picture = np.full((72, 90, 3), ORANGE, np.uint8)
            for _ in range(5):
                display.show(picture, [])
            orange = (screen.look() == ORANGE).all(axis=2)
    finally:
        screen.close()
    assert (int(orange.any(axis=0).sum()), int(orange.any(axis=1).sum())) == (128, 72)


def test_virtual_camera_gets_square_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in takes the frames: no test machine has the driver of a virtual camera."""
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    sent: list[np.ndarray] = []

    class Device:
        def __init__(self, width: int, height: int, _fps: float) -> None:
            self.size = (height, width, 3)

        def send(self, image: np.ndarray) -> None:
            assert image.shape == self.size
            sent.append(image)

        def close(self) -> None: ...

    monkeypatch.setattr(pyvirtualcam, "Camera", Device)
    with VirtualCameraSink(25, Fraction(4, 3)) as sink:
        sink.write(Camera.frame(0))
    assert sent[0].shape == (64, 128, 3)
    assert color_at(Camera.frame(0).with_image(sent[0]), 0.5) == ORANGE
