"""Webcams, through OpenCV."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from time import sleep

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.image_ops import load_opencv
from streamstyle.sources.base import SourceInfo
from streamstyle.timing import now_s

GONE_S = 2.0
"""Seconds without a frame after which a camera counts as gone."""

RETRY_S = 0.05
"""Seconds to wait after a frame that could not be read."""

# DirectShow opens a camera in a second; Media Foundation can take ten.
BACKEND = {"win32": "CAP_DSHOW", "darwin": "CAP_AVFOUNDATION"}.get(sys.platform, "CAP_V4L2")
"""OpenCV's backend, the same for listing and for opening cameras.

Each backend numbers the cameras in its own way.
"""


def cameras() -> dict[int, str]:
    """Return the names of the system's webcams by index."""
    from cv2_enumerate_cameras import enumerate_cameras

    found = enumerate_cameras(getattr(load_opencv(), BACKEND))
    return {camera.index: camera.name for camera in found}


def find_camera(wanted: str) -> int:
    """Return the index of a camera given by its index or by a part of its name.

    Raises UserError if no camera matches the name.
    """
    if wanted.isdecimal():
        return int(wanted)
    known = cameras()
    for index, name in known.items():
        if wanted.lower() in name.lower():
            return index
    there_is = ", ".join(f"{index} {name}" for index, name in known.items()) or "none"
    raise UserError(f"no camera {wanted}; available: {there_is}")


class CameraSource(Closing):
    """Frames of a webcam, until the camera is gone; see `sources.base.Source`."""

    def __init__(self, index: int, width: int, height: int, fps: float) -> None:
        """Open a camera and ask it for a size in pixels and a rate in frames per second.

        The camera may choose others: `info` and the frames tell its choice. Raises UserError if the
        camera cannot be opened.
        """
        cv2 = load_opencv()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # see UserError below
        self.notes: list[str] = []
        self._cv2 = cv2
        self._camera = cv2.VideoCapture(index, getattr(cv2, BACKEND))
        if not self._camera.isOpened():
            self._camera.release()
            raise UserError(
                f"camera {index} cannot be opened; check that it is plugged in and that no other "
                "program uses it (streamstyle cameras lists the cameras)"
            )
        # The order matters: DirectShow forgets the format when the rate is set, and applies it when
        # the size is set. A camera ignores values that it does not support.
        for name, value in (
            ("FPS", fps),
            # Uncompressed, USB 2 carries at most 640x480 at 30 frames per second.
            ("FOURCC", cv2.VideoWriter.fourcc(*"MJPG")),
            ("FRAME_WIDTH", width),
            ("FRAME_HEIGHT", height),
            ("BUFFERSIZE", 2),  # with 1, the driver has to drop every second frame
        ):
            self._camera.set(getattr(cv2, f"CAP_PROP_{name}"), value)
        self.info = SourceInfo(
            name=f"camera {index}",
            frames=None,
            width=int(self._camera.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(self._camera.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            video=None,
        )

    def __iter__(self) -> Iterator[Frame]:
        started_at_s = now_s()
        read_at_s = started_at_s
        index = 0
        while True:
            there, image = self._camera.read()
            captured_at_s = now_s()
            if not there:
                if captured_at_s > read_at_s + GONE_S:
                    return
                sleep(RETRY_S)
                continue
            read_at_s = captured_at_s
            yield Frame(
                image=self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB),
                index=index,
                pts_seconds=Fraction(captured_at_s - started_at_s).limit_denominator(1_000_000),
                captured_at_s=captured_at_s,
            )
            index += 1

    def close(self) -> None:
        self._camera.release()
