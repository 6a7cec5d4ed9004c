"""Write a video file with the timing, color and tracks of its source."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame, Image
from streamstyle.media.color import Color, Converter
from streamstyle.media.encoders import Encoding, pixel_format, software_of
from streamstyle.media.gif_palette import Palette
from streamstyle.media.hwaccel import encoder_problem
from streamstyle.media.tracks import Tracks
from streamstyle.sinks.destination import Destination, destination_of
from streamstyle.sources.base import VideoFormat
from streamstyle.system import ordinary_scheduling

_GIF_TICK = Fraction(1, 100)

_PART_S = 1
_IN_PARTS = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": f"{_PART_S * 1_000_000}"}
_IN_CLUSTERS = {"cluster_time_limit": f"{_PART_S * 1000}"}
_CRASH_SAFE = {
    ".mp4": _IN_PARTS,
    ".m4v": _IN_PARTS,
    ".mov": _IN_PARTS,
    ".mkv": _IN_CLUSTERS,
    ".webm": _IN_CLUSTERS,
}
"""Container options by suffix that write a playable part every second.

A power cut then leaves a video that plays. An MP4 becomes an ordinary file when it is finished, but
its other tracks are not always bit-exact copies.
"""


class VideoSink(Closing):
    """Writes a video file; see `sinks.base.Sink`.

    While it is incomplete, a file has another name in the same folder.
    """

    def __init__(
        self,
        target: str | Path,
        video: VideoFormat,
        tracks: Tracks | None,
        encoding: Encoding = Encoding(),
        overwrite: bool = False,
    ) -> None:
        """Check the target and the encoder's options; the first frame decides the picture's size.

        `target` is a file, a named pipe, or - for standard output. Raises UserError if it can't be
        written or the encoder lacks an option.
        """
        self.notes: list[str] = []
        self._target = destination_of(target, overwrite)
        self._tracks = tracks
        if tracks is not None:
            tracks.take()
        self._video = video
        self._encoding = encoding
        self._encoder = encoding.encoder(self._target.suffix)
        self._options = encoding.options(self._encoder)
        self._file: _File | None = None

    def write(self, frame: Frame) -> None:
        with self._as_user_error():
            if self._file is None:
                self._file = self._open(frame)
            self._file.write(frame)

    def finish(self) -> None:
        if self._file is None:
            raise UserError(f"nothing to write to {self._target}: the input has no frames")
        file = self._take_file()
        with self._as_user_error():
            try:
                file.finish()
                if self._tracks is not None and self._target.can_be_read:
                    self._tracks.compare(self._target.url)
                self._target.complete()
            except (av.FFmpegError, OSError):
                self.notes += self._target.remains()
                raise
            finally:
                self._note_tracks()

    def close(self) -> None:
        if self._file is None:
            return
        file = self._take_file()
        self.notes += self._target.remains()
        with suppress(av.FFmpegError, OSError):  # a full disk raises again
            file.break_off()
        self._note_tracks()

    def _note_tracks(self) -> None:
        if self._tracks is not None:
            self.notes += self._tracks.notes

    def _take_file(self) -> "_File":
        """Return the open file, which the caller must end, and note the frames it left out."""
        assert self._file is not None
        file, self._file = self._file, None
        if file.left_out:
            self.notes.append(
                f"{file.left_out} frames were left out: timestamps in {self._target.suffix} are "
                "too coarse for them"
            )
        return file

    def _open(self, first: Frame) -> "_File":
        self._fall_back_if_needed(first)
        try:
            self._target.prepare()
            file = _File(
                self._target, self._encoder, self._options, self._video, first, self._tracks
            )
        except BaseException:
            self._target.give_up()
            raise
        return file

    def _fall_back_if_needed(self, first: Frame) -> None:
        """Switch to the CPU encoder if a graphics card encoder does not start."""
        software = software_of(self._encoder)
        if software is None:
            return
        kind = pixel_format(self._encoder, self._video.chroma, first.width, first.height)
        problem = encoder_problem(self._encoder, self._options, kind, first.width, first.height)
        if problem is None:
            return
        self._options = replace(self._encoding, preset=None).options(software)
        self.notes.append(
            f"{self._encoder} does not start here ({problem}); {software} writes instead, with "
            f"{_in_words(self._options)}"
        )
        self._encoder = software

    @contextmanager
    def _as_user_error(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"cannot write {self._target}: {reason(error)}") from error


class _File:
    """A video file that is open for writing; it is opened with the first frame."""

    def __init__(
        self,
        target: Destination,
        encoder: str,
        options: dict[str, str],
        video: VideoFormat,
        first: Frame,
        tracks: Tracks | None,
    ) -> None:
        self.left_out = 0
        """Number of frames left out because they came within a tick of the frame before."""
        self._last_pts: int | None = None
        color = video.color.written_at(first.width, first.height)
        kind = pixel_format(encoder, video.chroma, first.width, first.height)
        self._tracks = tracks
        # A video without tracks comes from a camera and can't be painted again after a crash.
        safe = _CRASH_SAFE.get(target.suffix, {}) | {"flush_packets": "1"}
        self._output = av.open(
            target.url,
            "w",
            format=target.container_format,
            container_options=safe if tracks is None else tracks.muxer_options(target.suffix),
        )
        try:
            self._stream = _add_stream(self._output, encoder, options, video.frame_rate)
            _configure(self._stream, video, first, color, kind)
            if tracks is not None:
                tracks.attach(self._output, self._stream)
            try:
                with ordinary_scheduling():
                    self._output.start_encoding()
            except av.FFmpegError as error:
                raise UserError(
                    f"the encoder {encoder} does not start with {_in_words(options)} for "
                    f"{first.width}x{first.height}: {reason(error)}"
                ) from error
        except BaseException:
            self._output.close()
            raise
        self._to_frame: Callable[[Image], av.VideoFrame]
        if kind == "pal8":
            self._to_frame = Palette(first.width, first.height).from_rgb
        else:
            self._to_frame = partial(Converter().from_rgb, color=color, pixel_format=kind)

    def write(self, frame: Frame) -> None:
        picture = self._to_frame(frame.image)
        if self._tracks is not None:
            picture = self._tracks.with_captions(picture, frame.pts_seconds)
        base = self._stream.codec_context.time_base
        picture.time_base = base
        picture.pts = round(frame.pts_seconds / base)
        if frame.duration_seconds is not None:
            picture.duration = round(frame.duration_seconds / base)
        if self._last_pts is None or picture.pts > self._last_pts:
            self._output.mux(self._stream.encode(picture))
            self._last_pts = picture.pts
        else:
            self.left_out += 1
        if self._tracks is not None:
            self._tracks.mux_pending()

    def finish(self) -> None:
        """End the file after writing all packets of the tracks."""
        try:
            self._output.mux(self._stream.encode(None))
            if self._tracks is not None:
                self._tracks.finish()
        finally:
            self._output.close()

    def break_off(self) -> None:
        """End the file so that what is in it can be played."""
        try:
            self._output.mux(self._stream.encode(None))
        finally:
            self._output.close()


def _in_words(options: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


def _add_stream(
    output: OutputContainer,
    encoder: str,
    options: dict[str, str],
    frame_rate: Fraction | None,
) -> VideoStream:
    try:
        stream = output.add_stream(encoder, rate=frame_rate, options=options)
    except ValueError as error:
        raise UserError(
            f"{output.format.name} can't hold what the encoder {encoder} writes; give another "
            "--codec, or a name that ends in .mkv"
        ) from error
    assert isinstance(stream, VideoStream)
    return stream


def _configure(
    stream: VideoStream, video: VideoFormat, first: Frame, color: Color, kind: str
) -> None:
    """Let the encoder write frames like `first`, in the pixel format `kind`."""
    context = stream.codec_context
    context.width, context.height = first.width, first.height
    context.pix_fmt = kind
    context.time_base = stream.time_base = _GIF_TICK if context.name == "gif" else video.time_base
    if first.duration_seconds is not None:
        context.flags |= Flags.frame_duration  # keeps the duration of the last frame
    if video.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = video.sample_aspect_ratio
    if kind != "pal8":
        context.colorspace = color.matrix
        context.color_range = color.range
        context.color_primaries = color.primaries
        context.color_trc = color.transfer
