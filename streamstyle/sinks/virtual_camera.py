"""Show frames on a virtual camera for other programs, such as OBS, Zoom and Meet."""

from fractions import Fraction
from typing import Any

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.image_ops import square


class VirtualCameraSink(Closing):
    """Feeds a virtual camera of the first frame's size; see `sinks.base.Sink`."""

    def __init__(self, fps: float, pixel_aspect: Fraction = Fraction(1)) -> None:
        """Feed frames whose pixels are `pixel_aspect` times as wide as high; a camera's are square.

        Raises UserError if the package for it is missing.
        """
        try:
            import pyvirtualcam
        except ImportError as error:
            raise UserError(
                'a virtual camera needs pyvirtualcam; run: pip install ".[virtualcam]"'
            ) from error
        self.notes: list[str] = []
        self._module: Any = pyvirtualcam
        self._fps = fps
        self._pixel_aspect = pixel_aspect
        self._camera: Any = None

    def write(self, frame: Frame) -> None:
        image = square(frame.image, self._pixel_aspect)
        if self._camera is None:
            try:
                height, width = image.shape[:2]
                self._camera = self._module.Camera(width, height, self._fps)
            except RuntimeError as error:
                raise UserError(
                    f"there is no virtual camera to feed ({error}); on Linux run: modprobe "
                    "v4l2loopback, on Windows and macOS install OBS Studio and start its virtual "
                    "camera once"
                ) from error
        self._camera.send(image)

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None
