"""Make whole pictures of interlaced ones with FFmpeg's filter bwdif."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
import av.filter

from streamstyle.errors import UserError

AUTO, OFF = "auto", "off"

MODES = (AUTO, OFF)
"""Whether to deinterlace pictures that say that they are interlaced, or none."""

_Shape = tuple[int, int, str]
"""Width, height and pixel format."""


def check_deinterlace(wanted: str) -> None:
    """Raise UserError unless `wanted` is one of MODES."""
    if wanted not in MODES:
        raise UserError(f"--deinterlace takes {', '.join(MODES)}, got {wanted}")


class Deinterlacer:
    """Deinterlaces the pictures that say that they are interlaced, and passes all others on."""

    def __init__(self) -> None:
        self.count = 0
        """Number of interlaced pictures so far."""
        self._times: deque[tuple[int | None, int]] = deque()

    def whole(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield one frame for each, with its times: a picture per frame, not per field."""
        graph: av.filter.Graph | None = None
        shape: _Shape | None = None
        for frame in frames:
            self.count += frame.interlaced_frame
            if graph is None and not frame.interlaced_frame:
                yield frame
                continue
            # Once there is a filter, all frames go through it: it needs those before and after.
            if shape != (shape := (frame.width, frame.height, frame.format.name)):
                yield from self._rest(graph)
                graph = _graph(frame)
            assert graph is not None
            self._times.append((frame.pts, frame.duration))
            graph.vpush(frame)
            yield from self._ready(graph)
        yield from self._rest(graph)

    def _ready(self, graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            frame.pts, frame.duration = self._times.popleft()
            yield frame

    def _rest(self, graph: av.filter.Graph | None) -> Iterator[av.VideoFrame]:
        if graph is not None:
            graph.vpush(None)
            yield from self._ready(graph)


def _graph(first: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=first.width,
        height=first.height,
        format=first.format,
        time_base=Fraction(1, 1000),  # any value: each frame gets its own times back
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph
