"""A sender of live video that runs in its own process, so that tests can stop and kill it.

python -m tests.helpers.sender ADDRESS WIDTHxHEIGHT FPS RED,GREEN,BLUE

With http://127.0.0.1:PORT it is a server: it prints its port (PORT may be 0) and sends each client
a stream of its own. With rtmp:// it publishes to a server.
"""

import sys
import time
from fractions import Fraction
from http.server import ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import OutputContainer

from tests.helpers.serving import answering

AT_ONCE = {"flush_packets": "1"}
"""Container options: send every packet at once, without buffering."""


def main(address: str, size: str, fps: str, color: str) -> None:
    width, height = map(int, size.split("x"))
    image = np.full((height, width, 3), [int(value) for value in color.split(",")], np.uint8)
    if address.startswith("http"):
        _serve(urlsplit(address).port or 0, image, int(fps))
    else:
        with av.open(address, "w", format="flv", timeout=20) as output:
            _send(output, image, int(fps))


def _serve(port: int, image: np.ndarray, fps: int) -> None:
    def respond(file: BinaryIO) -> None:
        with av.open(file, "w", format="mpegts", container_options=AT_ONCE) as output:
            _send(output, image, fps)

    with ThreadingHTTPServer(("127.0.0.1", port), answering(respond)) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


def _send(output: OutputContainer, image: np.ndarray, fps: int) -> None:
    """Send the image for at most ten minutes."""
    stream = output.add_stream("libx264", rate=fps, options={"tune": "zerolatency", "g": str(fps)})
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuv420p"
    started_s = time.perf_counter()
    for index in range(600 * fps):
        time.sleep(max(0.0, started_s + index / fps - time.perf_counter()))
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, fps)
        output.mux(stream.encode(frame))


if __name__ == "__main__":
    main(*sys.argv[1:])
