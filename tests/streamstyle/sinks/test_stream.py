"""Streams are sent to a real receiver on the loopback interface and decoded there."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest

from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.sinks.stream import StreamSink
from tests.helpers.clips import read_clip
from tests.helpers.live import free_port

pytestmark = pytest.mark.slow

BLUE = (0, 127, 255)

RECEIVER = """
import json, sys
import av

with av.open(sys.argv[1], options=json.loads(sys.argv[2]), timeout=30) as container:
    frames = []
    for frame in container.decode(video=0):
        frames.append(frame.to_ndarray(format="rgb24")[24, 32].tolist())
        if len(frames) == 20:
            break
    stream = container.streams.video[0]
    print(json.dumps({"last": frames[-1], "size": [stream.width, stream.height]}))
"""


def frames() -> Iterator[Frame]:
    """Yield 25 frames per second for at most 20 s."""
    started_s = time.perf_counter()
    for index in range(500):
        time.sleep(max(0.0, started_s + index / 25 - time.perf_counter()))
        image = np.full((49, 65, 3), BLUE, np.uint8)  # an odd size, which 4:2:0 can't have
        yield Frame(image, index, Fraction(index, 25))


def wait_until_bound(pid: int, port: int) -> None:
    deadline = time.perf_counter() + 20
    while port not in {at.laddr.port for at in psutil.Process(pid).net_connections()}:
        assert time.perf_counter() < deadline, "the receiver does not listen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("rtmp://127.0.0.1:{port}/live/painted", {"listen": "1"}),
        ("tcp://127.0.0.1:{port}", {"listen": "1"}),
        ("udp://127.0.0.1:{port}", {}),
    ],
    ids=["rtmp", "tcp", "udp"],
)
def test_stream_is_received_and_decoded(address: str, options: dict[str, str]) -> None:
    port = free_port()
    address = address.format(port=port)
    receiver = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, address, json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until_bound(receiver.pid, port)
    sink = StreamSink(address, fps=25)
    try:
        for frame in frames():
            if receiver.poll() is not None:
                break
            sink.write(frame)
    except UserError:
        pass  # the receiver hung up after 20 frames; its output shows what it saw
    finally:
        sink.close()
    output, _ = receiver.communicate(timeout=30)
    received = json.loads(output)
    assert received["size"] == [64, 48]
    assert np.abs(np.array(received["last"]) - BLUE).max() < 12


def test_playlist_can_be_played(tmp_path: Path) -> None:
    sink = StreamSink(str(tmp_path / "painted.m3u8"), fps=25, pixel_aspect=Fraction(64, 45))
    for index in range(60):
        sink.write(Frame(np.full((48, 64, 3), BLUE, np.uint8), index, Fraction(index, 25)))
    sink.finish()
    played = read_clip(tmp_path / "painted.m3u8")
    assert len(played.times) == 60
    assert played.pixel_aspect == Fraction(64, 45)
    assert np.abs(played.frames[-1][24, 32].astype(int) - BLUE).max() < 12


def test_nobody_listens() -> None:
    sink = StreamSink(f"tcp://127.0.0.1:{free_port()}", fps=25)
    with pytest.raises(UserError, match="cannot stream to tcp://"):
        sink.write(next(frames()))
    sink.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [("gopher://somewhere", "begins with rtmp://"), ("missing/painted.m3u8", "does not exist")],
)
def test_what_is_no_address(address: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        StreamSink(address, fps=25)
