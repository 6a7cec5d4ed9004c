"""Stream frames over RTMP, SRT, UDP or TCP, or as HLS."""

from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.media.color import BT709, Converter

FORMATS = {
    "rtmp": "flv",
    "rtmps": "flv",
    "srt": "mpegts",
    "udp": "mpegts",
    "tcp": "mpegts",
}
"""Container format by protocol."""

PLAYLIST = ".m3u8"

CONNECT_S = 10.0

TICK = Fraction(1, 90_000)

KEY_FRAME_S = 2
"""Seconds between key frames, as streaming services ask for.

A new viewer waits at most this long for a picture.
"""

_OPTIONS = {"preset": "veryfast", "tune": "zerolatency", "crf": "21"}


class StreamSink(Closing):
    """Streams frames as H.264; see `sinks.base.Sink`.

    It connects when the first frame is written, on the writing thread.
    """

    def __init__(self, address: str, fps: float, pixel_aspect: Fraction = Fraction(1)) -> None:
        """Check the address; nothing is sent yet.

        `address` is a URL with a protocol in FORMATS, or the path of an HLS playlist (.m3u8). `fps`
        is the approximate number of frames per second. Each pixel is `pixel_aspect` times as wide
        as high. Raises UserError for any other address.
        """
        scheme = address.partition("://")[0] if "://" in address else ""
        if scheme not in FORMATS and not (not scheme and address.endswith(PLAYLIST)):
            raise UserError(
                f"cannot stream to {address}: give an address that begins with "
                f"{', '.join(f'{name}://' for name in FORMATS)}, or a playlist that ends in "
                f"{PLAYLIST}"
            )
        if not scheme and not Path(address).parent.is_dir():
            raise UserError(f"the folder {Path(address).parent} does not exist; make it first")
        self.notes: list[str] = []
        self._address = address
        self._format = FORMATS.get(scheme, "hls")
        self._fps = fps
        self._pixel_aspect = pixel_aspect
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._to_frame = partial(Converter().from_rgb, color=BT709, pixel_format="yuv420p")

    def write(self, frame: Frame) -> None:
        try:
            if self._output is None:
                self._open(frame)
            assert self._output is not None
            assert self._stream is not None
            height, width = self._stream.height, self._stream.width
            picture = self._to_frame(frame.image[:height, :width].copy())
            picture.time_base = TICK
            picture.pts = round(frame.pts_seconds / TICK)
            self._output.mux(self._stream.encode(picture))
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"cannot stream to {self._address}: {reason(error)}") from error

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        output, self._output = self._output, None
        if output is None or self._stream is None:
            return
        with suppress(av.FFmpegError, OSError):  # the other side may be gone
            output.mux(self._stream.encode(None))
        with suppress(av.FFmpegError, OSError):
            output.close()

    def _open(self, first: Frame) -> None:
        options = {"hls_time": str(KEY_FRAME_S), "hls_flags": "delete_segments"}
        self._output = av.open(
            self._address,
            "w",
            format=self._format,
            options=options if self._format == "hls" else {},
            timeout=(CONNECT_S, CONNECT_S),
        )
        key_frames = {"g": str(max(1, round(self._fps * KEY_FRAME_S)))}
        stream = self._output.add_stream("libx264", options=_OPTIONS | key_frames)
        context = stream.codec_context
        context.width, context.height = first.width // 2 * 2, first.height // 2 * 2
        context.pix_fmt = "yuv420p"
        context.sample_aspect_ratio = self._pixel_aspect
        context.time_base = stream.time_base = TICK
        context.colorspace, context.color_range = BT709.matrix, BT709.range
        context.color_primaries, context.color_trc = BT709.primaries, BT709.transfer
        self._stream = stream
