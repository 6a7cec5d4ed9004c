"""Frames of a video file, an address or an FFmpeg filter graph, with exact timestamps."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain

import av

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.media import deinterlace
from streamstyle.media.canvas import Canvas
from streamstyle.media.color import Color, Converter
from streamstyle.media.container import begin_of, open_container, stated_seconds
from streamstyle.media.deinterlace import Deinterlacer
from streamstyle.media.hwaccel import OFF, find_device, is_on_device
from streamstyle.media.reader import open_reader
from streamstyle.media.tags import announces_alpha
from streamstyle.media.tone_mapping import ToneMap
from streamstyle.pipes import is_pipe
from streamstyle.sources.base import Clip, SourceInfo, VideoFormat


class VideoSource(Closing):
    """One video track, upright, with the other tracks beside it; see `sources.base.Source`."""

    def __init__(
        self,
        location: str,
        clip: Clip = Clip(),
        container_format: str | None = None,
        name: str | None = None,
        low_delay: bool = False,
    ) -> None:
        """Open a video and decode its first frame.

        Args:
            location: What FFmpeg opens: a path, an address, or a filter graph if `container_format`
                is "lavfi".
            clip: The part to take, and how to decode it.
            container_format: FFmpeg's name of the input format; None to detect it.
            name: Display name; None for the last part of the location.
            low_delay: As in `open_video`.

        Raises:
            UserError: If the video cannot be opened, has no frame in the span, or is HDR without
                `tonemap`.
        """
        self.notes: list[str] = []
        self._name = name or location.rpartition("/")[2] or location
        device, why_not = (None, "") if clip.hwaccel == OFF else find_device(clip.hwaccel)
        self._reader = open_reader(
            partial(open_container, location, container_format, low_delay, device),
            self._name,
            clip.start_seconds,
            clip.duration_seconds,
            low_delay,
        )
        try:
            codec_context = self._reader.stream.codec_context
            self.tracks = self._reader.tracks
            self._deinterlacer = Deinterlacer()
            frames = self._reader.frames
            if clip.deinterlace != deinterlace.OFF:
                frames = self._deinterlacer.whole(frames)
            first = next(frames, None)
            if first is None:
                raise UserError(self._no_picture(location))
            if clip.hwaccel != OFF and not is_on_device(codec_context):
                codec = codec_context.codec.canonical_name
                why_not = why_not or f"the device cannot decode this {codec}"
                self.notes.append(f"{self._name} was decoded by the processor: {why_not}")
            color = Color.of(first)
            self._tonemap = None
            if color.hdr is not None:
                if not clip.tonemap:
                    raise UserError(
                        f"{self._name} is {color.hdr} video and would come out washed out; "
                        "add --tonemap to paint it in standard range"
                    )
                self._tonemap = ToneMap(first)
                color = self._tonemap.color
            self._frames = chain([first], frames)
            self._canvas = Canvas(first, self._reader.stream)
            self.info = self._describe(first, color)
            bits = max(component.bits for component in first.format.components)
            if bits > 8 and self._tonemap is None:
                self.notes.append(f"{self._name} has {bits} bits per color and is painted in 8")
        except BaseException:
            self._reader.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        self.tracks.drop_unless_taken()
        converter = Converter()
        transparent = announces_alpha(self._reader.stream.metadata)
        for index, frame in enumerate(self._frames):
            transparent = transparent or _is_transparent(frame)
            mapped = self._tonemap(frame) if self._tonemap else frame
            image = self._canvas.upright(converter.to_rgb(mapped, Color.of(mapped)), frame)
            assert frame.pts is not None  # see Reader.frames
            pts_seconds = frame.pts * self._reader.base - self._reader.span.zero_seconds
            self.tracks.see(frame, pts_seconds)
            yield Frame(
                image=image,
                index=index,
                pts_seconds=pts_seconds,
                duration_seconds=frame.duration * self._reader.base if frame.duration else None,
            )
        if self._canvas.fitted:
            self.notes.append(
                f"{self._canvas.fitted} frames of another shape were fitted into that of the first"
            )
        if self._deinterlacer.count:
            self.notes.append(
                f"{self._deinterlacer.count} frames of {self._name} are interlaced and were "
                "deinterlaced; --deinterlace off paints their lines as they are"
            )
        if transparent:
            self.notes.append(f"the transparency of {self._name} is not kept")
        self.notes += self._reader.notes()

    def close(self) -> None:
        self._reader.close()

    @property
    def stated_seconds(self) -> Fraction | None:
        """Length that the whole input states; None for a stream, which has no length."""
        return stated_seconds(self._reader.container)

    def _no_picture(self, location: str) -> str:
        """Return a sentence that says why there is no picture and what to do."""
        if self._reader.unread is not None:
            advice = ""
            if location.startswith("http"):
                advice = "; if its server can't send parts of a file, download it first"
            elif is_pipe(location):
                advice = "; an MP4 fits through a pipe if its index comes first (+faststart)"
            return f"{self._name} cannot be read: {self._reader.unread}{advice}"
        problem = f"no picture in {self._name} can be decoded"
        if self._reader.span.start_seconds is self._reader.span.end_seconds is None:
            return problem
        stated = self.stated_seconds
        length = "" if stated is None else f"; the video is {float(stated):.1f} s long"
        return f"{problem} in the time asked for{length}"

    def _describe(self, first: av.VideoFrame, color: Color) -> SourceInfo:
        return SourceInfo(
            name=self._name,
            frames=self._estimated_frames(),
            width=self._canvas.width,
            height=self._canvas.height,
            video=VideoFormat(
                time_base=self._reader.base,
                frame_rate=self._reader.rate,
                sample_aspect_ratio=self._canvas.pixel_aspect,
                color=color,
                chroma=_chroma(first),
            ),
        )

    def _estimated_frames(self) -> int | None:
        span = self._reader.span
        whole = span.start_seconds is span.end_seconds is None
        if whole and self._reader.stream.frames:
            return self._reader.stream.frames
        if self._reader.rate is None:
            return None
        end = span.end_seconds
        if self.stated_seconds is not None:
            stated = begin_of(self._reader.container) + self.stated_seconds
            end = stated if end is None else min(end, stated)
        return None if end is None else max(1, round((end - span.zero_seconds) * self._reader.rate))


def _is_transparent(frame: av.VideoFrame) -> bool:
    """Return whether any pixel is transparent.

    Most videos with an alpha channel have no such pixel.
    """
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool((frame.reformat(format="rgba").to_ndarray()[..., 3] < 255).any())


def _chroma(frame: av.VideoFrame) -> str:
    """Return the color sampling of the pixel format; video stored as RGB counts as 4:2:0."""
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return "420"
    chroma = frame.format.components[1]
    if chroma.height < frame.height:
        return "420"
    return "422" if chroma.width < frame.width else "444"
