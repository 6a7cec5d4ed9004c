"""Sinks beside the window, each on its own thread, so that none can delay another."""

import threading
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from streamstyle.channel import Cancelled, Channel, Policy
from streamstyle.frame import Frame
from streamstyle.media.color import BT709
from streamstyle.sinks import Sink
from streamstyle.sinks.video import VideoSink
from streamstyle.sources.base import VideoFormat
from streamstyle.system import give_back_memory
from streamstyle.timing import now_s

TICK = Fraction(1, 90_000)
"""Unit of the timestamps in the sinks' frames, in seconds."""

DEPTH = 32
"""Maximum number of waiting frames: enough for a disk or an encoder that is busy for a second."""

STUCK_S = 5.0
"""Time for one frame, in seconds, after which a sink is cut off."""

GOODBYE_S = 5.0
"""Maximum time for a sink to finish its file when the session ends, in seconds."""


class Outlet:
    """Feeds one sink, and cuts it off if it fails or is stuck for too long."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.problem: str | None = None
        """Why the sink was cut off, or did not finish, in a sentence; None if all is well."""
        self.finished = False
        self._sink = sink
        self._frames: Channel[Frame] = Channel(DEPTH, Policy.NEWEST)
        self._writing_since_s: float | None = None
        self._zero_s: float | None = None
        self._last_tick = -1
        self._thread = threading.Thread(target=self._work, name=f"streamstyle-{name}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self.problem is None and not self.finished

    @property
    def notes(self) -> list[str]:
        """Notes for the user when the sink has ended, one sentence each."""
        dropped = self._frames.dropped
        lack = f"{self.name} was too slow and lacks {dropped} frames"
        problem = [] if self.problem is None else [self.problem]
        return [*self._sink.notes, *([lack] if dropped else []), *problem]

    def put(self, frame: Frame) -> None:
        """Pass a frame to the sink without waiting; its timestamp counts from the first frame."""
        since_s = self._writing_since_s
        if since_s is not None and now_s() - since_s > STUCK_S and self.problem is None:
            self.problem = f"{self.name} was cut off: it accepted no frame for {STUCK_S:.0f} s"
            self._frames.cancel()
        if not self.running:
            return
        if self._zero_s is None:
            self._zero_s = frame.captured_at_s
        tick = round((frame.captured_at_s - self._zero_s) / TICK)
        if tick <= self._last_tick:
            return  # two frames of one moment, which no file can hold
        self._last_tick = tick
        with suppress(Cancelled):  # the sink may fail at this moment
            self._frames.put(replace(frame, pts_seconds=tick * TICK, duration_seconds=None))

    def finish(self) -> None:
        """Take no more frames; the sink completes its file in the background."""
        self._frames.close()

    def join(self) -> None:
        """Wait until the sink has ended, for at most GOODBYE_S."""
        self._frames.close()
        self._thread.join(GOODBYE_S)
        if self._thread.is_alive() and self.problem is None:
            self.problem = f"{self.name} did not finish within {GOODBYE_S:.0f} s"

    def _work(self) -> None:
        try:
            for frame in self._frames:
                self._writing_since_s = now_s()
                self._sink.write(frame)
                self._writing_since_s = None
            self._sink.finish()
            self.finished = True
        except Cancelled:
            pass
        except Exception as error:  # whatever fails, painting goes on
            self.problem = f"{self.name} was cut off: {error}"
        finally:
            self._frames.cancel()
            self._sink.close()
            give_back_memory()


class Recordings:
    """The sinks of a session, and its recordings, of which only one runs at a time."""

    def __init__(self, pixel_aspect: Fraction) -> None:
        """Record pictures whose pixels are `pixel_aspect` times as wide as high."""
        self.notes: list[str] = []
        """Notes for the user, one sentence each; complete after `close`."""
        self._pixel_aspect = pixel_aspect
        self._outlets: list[Outlet] = []
        self._takes: list[Outlet] = []  # recordings that are not complete or have failed
        self._take: Outlet | None = None
        self._target: Path | None = None

    @property
    def target(self) -> Path | None:
        """The file being recorded; None if there is none."""
        return self._target if self._take is not None and self._take.running else None

    @property
    def problems(self) -> list[str]:
        """Why sinks were cut off, one sentence for each of them."""
        return [outlet.problem for outlet in self._all() if outlet.problem]

    @property
    def all_failed(self) -> bool:
        """Whether there are sinks and every one was cut off."""
        return bool(self._all()) and all(outlet.problem for outlet in self._all())

    def add(self, name: str, sink: Sink) -> None:
        """Feed `sink` until `close`. If it fails or is too slow, it is cut off."""
        self._outlets.append(Outlet(name, sink))

    def record(self, target: Path) -> None:
        """Write a video file from now on until `stop`, or until the next `record`."""
        self.stop()
        self._forget_takes()
        video = VideoFormat(
            time_base=TICK,
            frame_rate=None,
            sample_aspect_ratio=self._pixel_aspect,
            color=BT709,
            chroma="420",
        )
        self._take = Outlet(f"recording {target.name}", VideoSink(target, video, tracks=None))
        self._target = target
        self._takes.append(self._take)

    def stop(self) -> None:
        """End the recording; its file appears as soon as the last frames are in it."""
        if self._take is not None:
            self._take.finish()
        self._take = self._target = None

    def put(self, frame: Frame) -> None:
        """Give a frame to every sink; never waits."""
        for outlet in self._all():
            outlet.put(frame)

    def close(self) -> None:
        """Complete every file, waiting for each no longer than `GOODBYE_S`."""
        self.stop()
        for outlet in self._all():
            outlet.join()
            self.notes += outlet.notes
        self._outlets.clear()
        self._takes.clear()

    def _all(self) -> tuple[Outlet, ...]:
        return (*self._outlets, *self._takes)

    def _forget_takes(self) -> None:
        """Drop recordings that have ended, or a session of days would grow with each."""
        ended = [take for take in self._takes if not take.running]
        self._takes = [take for take in self._takes if take not in ended]
        for take in ended:
            self.notes += take.notes
