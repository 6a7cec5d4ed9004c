"""The delay and the pace of frames that are read from an address."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest

from streamstyle.live import capture
from streamstyle.media import container
from streamstyle.sources import Source, realtime
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.live import opener_of
from tests.helpers.sender import AT_ONCE
from tests.helpers.serving import QuietHandler, answering, serving

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.2,))
    monkeypatch.setattr(container, "LIVE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(container, "OPEN_TIMEOUT_S", 5.0)


def write_video(file: BinaryIO | Path, kind: str, rate: Fraction, turns: Iterable[object]) -> None:
    """Write one frame for each item of `turns`."""
    with av.open(file, "w", format=kind, container_options=AT_ONCE) as output:
        stream = output.add_stream("libx264", rate=rate, options={"tune": "zerolatency", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index, _turn in enumerate(turns):
            image = np.full((64, 96, 3), index, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("kind", "held_back"),
    [("flv", 0), ("mpegts", 2)],  # it marks only where the next frame begins
)
def test_frame_comes_before_the_next_is_sent(
    monkeypatch: pytest.MonkeyPatch, kind: str, held_back: int
) -> None:
    """Each frame is sent only after an earlier one has arrived.

    So the test does not depend on the machine's speed, only on how many frames are buffered.
    """
    monkeypatch.setattr(container, "LIVE_TIMEOUT_S", 20.0)
    ahead = 60  # enough to open the stream
    allowed = threading.Semaphore(ahead)

    def turns() -> Iterator[int]:
        for index in range(ahead + 40):
            assert allowed.acquire(timeout=PATIENCE_S)
            yield index

    def respond(file: BinaryIO) -> None:
        write_video(file, kind, Fraction(25), turns())

    with serving(answering(respond)) as address:
        opener, endless = opener_of(address)
        assert endless
        with opener() as source:
            for frame in itertools.islice(source, ahead + 30):
                assert abs(int(frame.image[32, 48, 0]) - frame.index) < 4
                if frame.index >= ahead - 1 - held_back:
                    allowed.release()
        allowed.release(100)
    assert frame.index == ahead + 29


def seconds_played(source: Source, frames: int) -> float:
    taken = list(itertools.islice(source, frames))
    assert len(taken) == frames
    return taken[-1].captured_at_s - taken[0].captured_at_s


@pytest.mark.slow
def test_stream_is_taken_as_it_comes_or_at_its_own_pace() -> None:
    """Frames are sent all at once; the ten that are read span 18 seconds."""

    def respond(file: BinaryIO) -> None:
        write_video(file, "mpegts", Fraction(1, 2), range(12))

    with serving(answering(respond)) as address:
        opener, endless = opener_of(address)
        assert endless
        with opener() as source:
            assert seconds_played(source, 10) < 12
        opener, endless = opener_of(address, realtime=True)
        assert endless
        with opener() as source:
            assert seconds_played(source, 2) > 1.8


@pytest.mark.slow
def test_file_at_an_address_is_played_at_its_own_pace(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", Recipe(pts=range(25))).read_bytes()

    def respond(file: BinaryIO) -> None:
        file.write(clip)

    with serving(answering(respond)) as address:
        opener, endless = opener_of(address)
        assert not endless
        with opener() as source:
            assert seconds_played(source, 25) > 0.9
            assert list(source) == []
        opener, endless = opener_of(address, loop=True)
        assert not endless
        with opener() as source:
            assert seconds_played(source, 40) > 1.4


def test_jump_ahead_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(realtime, "GAP_S", 0.3)
    times = (0, 3600, 7200, 90000 * 3600, 90000 * 3600 + 3600)
    clip = make_clip(tmp_path / "clip.ts", Recipe(pts=times, time_base=Fraction(1, 90000)))
    opener, _endless = opener_of(str(clip))
    with opener() as source:
        frames = list(source)
    assert frames[-1].pts_seconds - frames[0].pts_seconds > 3600
    gaps = [b.captured_at_s - a.captured_at_s for a, b in itertools.pairwise(frames)]
    assert len(gaps) == 4
    assert gaps[2] >= 0.3


def test_picture_that_stays_by_its_own_word_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(realtime, "GAP_S", 0.1)
    clip = make_clip(tmp_path / "clip.mp4", Recipe(pts=(0, 25, 26)))
    opener, _endless = opener_of(str(clip))
    with opener() as source:
        assert seconds_played(source, 2) > 0.9


@pytest.mark.slow
def test_stream_in_segments_is_played_at_its_own_pace(tmp_path: Path) -> None:
    """Segments arrive seconds at a time, so without pacing the picture would freeze between."""
    playlist = tmp_path / "live.m3u8"
    options = {"hls_time": "1"}
    with av.open(playlist, "w", format="hls", options=options) as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "25"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(100):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", ""))
    handler = partial(QuietHandler, directory=str(tmp_path))
    with serving(handler) as address:
        opener, endless = opener_of(f"{address}/live.m3u8")
        assert endless
        with opener() as source:
            assert seconds_played(source, 40) > 1.4
