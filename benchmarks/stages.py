"""Measure the processor time of each stage of painting a file, separately."""

import io
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, TypeVar

import av

from engines import Engine, Frames
from streamstyle.media.color import BT709, Converter
from streamstyle.media.encoders import pixel_format
from streamstyle.sinks import Encoding

RATE = 25

SUFFIX = ".mp4"

T = TypeVar("T")

Clip = list[av.VideoFrame]


def stages(engine: Engine, frames: list[Frames]) -> Iterator[tuple[str, float]]:
    """Yield each stage's name and its core seconds per frame.

    The stages go from decoding to encoding the painted frames. `frames` are (1, H, W, 3) each, and
    are first encoded as streamstyle encodes them.
    """
    count = len(frames)
    converter = Converter()
    height, width = frames[0].shape[1:3]
    encoder = Encoding().encoder(SUFFIX)
    kind = pixel_format(encoder, "420", width, height)

    def in_yuv(images: list[Frames]) -> Clip:
        return [converter.from_rgb(image[0], BT709, kind) for image in images]

    def taken(work: Callable[[], T]) -> tuple[T, float]:
        began_s = time.process_time()
        result = work()
        return result, (time.process_time() - began_s) / count

    file = _encoded(in_yuv(frames), encoder)
    clip, decoding_s = taken(lambda: _decoded(file))
    yield "decoding", decoding_s
    images, to_rgb_s = taken(lambda: [converter.to_rgb(frame, BT709)[None] for frame in clip])
    yield "YUV to RGB", to_rgb_s
    engine.paint(images[0])
    painted, painting_s = taken(lambda: [engine.paint(image) for image in images])
    yield "painting", painting_s
    clip, to_yuv_s = taken(lambda: in_yuv(painted))
    yield "RGB to YUV", to_yuv_s
    _, encoding_s = taken(lambda: _encoded(clip, encoder))
    yield "encoding", encoding_s


def _encoded(clip: Clip, encoder: str) -> io.BytesIO:
    file = io.BytesIO()
    with av.open(file, "w", format=SUFFIX.removeprefix(".")) as output:
        stream: Any = output.add_stream(encoder, RATE, Encoding().options(encoder))
        stream.width, stream.height = clip[0].width, clip[0].height
        stream.pix_fmt = clip[0].format.name
        for index, frame in enumerate(clip):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file


def _decoded(file: io.BytesIO) -> Clip:
    file.seek(0)
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"  # as in our video source
        return list(container.decode(stream))
