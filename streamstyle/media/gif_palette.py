"""Reduce each frame to 256 colors for GIF files, with FFmpeg's palette filters."""

from fractions import Fraction

import av
import av.filter

from streamstyle.frame import Image


class Palette:
    """A converter from pictures of one size to palette frames, each with its own colors."""

    def __init__(self, width: int, height: int) -> None:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width,
            height=height,
            format=av.VideoFormat("rgb24"),
            time_base=Fraction(1, 100),
        )
        split = graph.add("split")
        generate = graph.add("palettegen", "stats_mode=single")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(generate, 0, 0)
        split.link_to(use, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph

    def from_rgb(self, image: Image) -> av.VideoFrame:
        """Return a picture (H, W, 3) as a pal8 frame."""
        self._graph.vpush(av.VideoFrame.from_ndarray(image, format="rgb24"))
        return self._graph.vpull()
