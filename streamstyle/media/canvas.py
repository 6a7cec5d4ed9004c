"""Bring every picture of a video into the shape of its first one."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from fractions import Fraction

import av
from av.video.stream import VideoStream

from streamstyle.frame import Image
from streamstyle.image_ops import fitted
from streamstyle.media.hwaccel import visible_size
from streamstyle.media.orientation import Orientation


class Canvas:
    """The size and pixel aspect of a video's upright pictures, which its first frame decides.

    Broadcasts and joined recordings change them in the middle.
    """

    def __init__(self, first: av.VideoFrame, stream: VideoStream) -> None:
        """Take the shape of the first frame, which the decoder of `stream` has just returned."""
        self.fitted = 0
        """Number of pictures of another shape, which were fitted into the first one's."""
        self._decoder = stream.codec_context
        self._orientation = Orientation.of(first)
        self._stretch = Fraction(1)
        self._coded_aspect = self._decoder.sample_aspect_ratio
        self._stored_aspect = stream.sample_aspect_ratio or None  # the container's counts most
        self.width, self.height = visible_size(first, self._decoder)
        self.pixel_aspect = self._stored_aspect
        """Width divided by height of one pixel of the upright pictures; None if unknown."""
        if self._orientation.transposed:
            self.width, self.height = self.height, self.width
            self.pixel_aspect = 1 / self.pixel_aspect if self.pixel_aspect else None

    def upright(self, image: Image, frame: av.VideoFrame) -> Image:
        """Return the image (H, W, 3) of the frame upright, and in the shape of the first."""
        width, height = visible_size(frame, self._decoder)
        if image.shape[:2] != (height, width):
            image = image[:height, :width].copy()
        image = self._orientation.upright(image)
        if frame.key_frame:  # the decoder's headers are ahead of the pictures that it reorders
            self._stretch = self._stretch_now()
        if self._stretch != 1 or image.shape[:2] != (self.height, self.width):
            image = fitted(image, self.width, self.height, self._stretch)
            self.fitted += 1
        return image

    def _stretch_now(self) -> Fraction:
        """Return the pixel aspect that the decoder reports, relative to that of the canvas."""
        now = self._decoder.sample_aspect_ratio
        if now == self._coded_aspect:
            return Fraction(1)
        change = (now or Fraction(1)) / (self._stored_aspect or Fraction(1))
        return 1 / change if self._orientation.transposed else change
