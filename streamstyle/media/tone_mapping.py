"""Map HDR to standard range with FFmpeg's scale filter (libswscale's own tone mapping)."""

from fractions import Fraction

import av
import av.filter

from streamstyle.media.color import Color

_BT709 = 1
_LIMITED = 1


class ToneMap:
    """A converter from PQ or HLG frames of one size to BT.709 in limited range."""

    def __init__(self, first: av.VideoFrame) -> None:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format,
            time_base=Fraction(1, 1000),  # any value: the filters do not use timestamps
        )
        graph.link_nodes(
            source,
            graph.add(
                "scale",
                "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709"
                ":out_range=limited:intent=perceptual",
            ),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("buffersink"),
        ).configure()
        self._graph = graph
        self.color = Color(
            matrix=_BT709,
            range=_LIMITED,
            primaries=_BT709,
            transfer=_BT709,
            high_definition=True,
        )

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.vpush(frame)
        return self._graph.vpull()
