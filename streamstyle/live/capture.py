"""The thread that reads a camera, and reopens it after it has gone away."""

import threading
from collections.abc import Callable

from streamstyle.channel import Channel, Policy
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.image_ops import fitted
from streamstyle.sources import Source, SourceInfo
from streamstyle.timing import Rate

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between attempts to reopen a source, in seconds; the last one is repeated."""

GOODBYE_S = 1.0
"""Maximum time that a blocked read may delay the end of a session, in seconds.

A driver that takes longer is left behind on its thread, which ends with the process.
"""


class Capture:
    """Reads a source on a thread, and keeps its newest frame in the channel `frames`.

    All frames have the size and pixel aspect of `info`; those of another shape are fitted into it.
    """

    def __init__(self, opener: Callable[[], Source], endless: bool) -> None:
        """Open the source for the first time; raises UserError if that fails.

        An `endless` source, such as a camera, is reopened when it ends. Any other source, such as a
        file, ends for good.
        """
        self.frames: Channel[Frame] = Channel(1, Policy.NEWEST)
        self.problem: str | None = None
        """Present problem, as a sentence for the window; None if there is none."""
        self.rate = Rate()
        """Rate of the captured frames."""
        self.notes: dict[str, None] = {}
        """Notes of the sources that have ended, each note once."""
        self.error: UserError | None = None
        """Why a source that is not endless failed; None if it came to its end."""
        self._attempt = 0
        self._opener = opener
        self._endless = endless
        self._stopping = threading.Event()
        self._source: Source | None = opener()
        self.info: SourceInfo = self._source.info
        self._thread = threading.Thread(target=self._work, name="streamstyle-capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; no more frames are put."""
        self._stopping.set()
        self.frames.cancel()

    def join(self) -> None:
        self._thread.join(GOODBYE_S)

    def _work(self) -> None:
        while not self._stopping.is_set():
            source, self._source = self._source or self._open(), None
            if source is not None:
                problem = self._read(source)
                if not self._endless:
                    self.error = None if problem is None else UserError(problem)
                    self.frames.close()
                    return
                self.problem = f"{problem or f'{self.info.name} has gone'}; waiting for it"
            self._stopping.wait(PAUSES_S[min(self._attempt, len(PAUSES_S) - 1)])
            self._attempt += 1

    def _read(self, source: Source) -> str | None:
        """Read the source to its end; return what went wrong, or None."""
        try:
            for frame in source:
                self.rate.add(frame.captured_at_s)
                self.problem = None
                self._attempt = 0
                self.frames.put(self._in_shape(frame, source.info))
        except Exception as error:  # whatever a driver or a damaged frame raises
            return f"{self.info.name} failed: {error}"
        finally:
            source.close()
            self.notes.update(dict.fromkeys(source.notes))
        return None

    def _in_shape(self, frame: Frame, info: SourceInfo) -> Frame:
        """Return the frame in the shape of the first source, which may have been another."""
        assert self.info.width is not None
        assert self.info.height is not None
        pixel_aspect = info.pixel_aspect / self.info.pixel_aspect
        image = fitted(frame.image, self.info.width, self.info.height, pixel_aspect)
        return frame.with_image(image)

    def _open(self) -> Source | None:
        try:
            return self._opener()
        except UserError as error:
            self.problem = str(error)
            return None
