"""Show frames on a virtual camera for other programs, such as OBS, Zoom and Meet."""

from typing import Any

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame


class VirtualCameraSink(Closing):
    """Feeds a virtual camera of the first frame's size; see `sinks.base.Sink`."""

    def __init__(self, fps: float) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise UserError(
                'a virtual camera needs pyvirtualcam; run: pip install ".[virtualcam]"'
            ) from error
        self.notes: list[str] = []
        self._module: Any = pyvirtualcam
        self._fps = fps
        self._camera: Any = None

    def write(self, frame: Frame) -> None:
        if self._camera is None:
            try:
                self._camera = self._module.Camera(frame.width, frame.height, self._fps)
            except RuntimeError as error:
                raise UserError(
                    f"there is no virtual camera to feed ({error}); on Linux run: modprobe "
                    "v4l2loopback, on Windows and macOS install OBS Studio and start its virtual "
                    "camera once"
                ) from error
        self._camera.send(frame.image)

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None
