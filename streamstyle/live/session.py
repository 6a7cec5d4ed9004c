"""A live session: everything but the window."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image as Pillow

from engines import EngineError
from streamstyle.channel import Cancelled
from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame, Image
from streamstyle.image_ops import mirrored, square
from streamstyle.live.capture import Capture
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import Choice, EnginePool, choose
from streamstyle.live.frame_painter import FramePainter
from streamstyle.live.recorder import Recordings
from streamstyle.live.resolution_governor import Governor, Promise, Size, ladder
from streamstyle.live.status import Status
from streamstyle.live.views import viewed
from streamstyle.painting.masks import Mask
from streamstyle.sinks import Sink
from streamstyle.sources import Source
from streamstyle.styles import (
    DEFAULT_STYLE,
    StyleSpec,
    parse_style,
    style_of_dropped,
    styles_beside,
)
from streamstyle.timing import Latency, Rate, now_s

MAX_FPS = 60.0
"""Highest frame rate held unless another is asked for; most screens show no more."""

FALLBACK_FPS = 30.0
"""Frame rate assumed for a source that states none."""


class LiveSession(Closing):
    """Reads a source, paints its frames in time and hands them to a front end.

    A front end calls `wait` for the next painted frame, shows it and calls `was_shown`. Call the
    methods from one thread at a time. Only `wait` and `close` wait for anything.

    Examples:
        >>> from streamstyle import Controls, open_live, parse_style
        >>> opener, endless = open_live("pattern:testsrc", (640, 360), 25, loop=True, realtime=True)
        >>> controls = Controls(style=parse_style("small:great-wave"))
        >>> with LiveSession(opener, controls, endless=endless) as session:
        ...     frame = session.wait(timeout_s=10)
        >>> frame.image.shape
        (360, 640, 3)
    """

    def __init__(
        self,
        opener: Callable[[], Source],
        controls: Controls = Controls(),
        promise: Promise = Promise(),
        endless: bool = True,
        choose: Callable[[StyleSpec], Choice] = choose,
        mask: Mask | None = None,
    ) -> None:
        """Open the source and start painting.

        Args:
            opener: Opens the source.
            controls: How to paint at first.
            promise: The frame rate and delay to hold.
            endless: Open the source again whenever it has gone, as a camera or stream may.
            choose: Finds the model and inputs for a style.
            mask: Where to paint; outside, the second style is painted if there is one. Closed at
                the end.

        Raises:
            UserError: The source can't be opened.
        """
        self.notes: list[str] = []
        self._controls = controls
        self._capture = Capture(opener, endless)
        info = self._capture.info
        assert info.width is not None
        assert info.height is not None
        self.output_size: Size = (info.width, info.height)
        self.pixel_aspect = info.pixel_aspect
        """Width divided by height of one pixel of the frames; a front end shows them so."""
        rate = info.video.frame_rate if info.video is not None else None
        self._governor = Governor(
            ladder(*self.output_size),
            promise.fps or min(MAX_FPS, float(rate or FALLBACK_FPS)),
            promise.max_latency_ms,
        )
        self._engines = EnginePool(choose)
        self._mask = mask
        self._painter = FramePainter(self._engines, self._governor, mask)
        self._recordings = Recordings(self.pixel_aspect)
        self._shown = threading.Condition()
        self._latest: Frame | None = None
        self._last_painting: Image | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._age = Latency()
        self._shown_rate = Rate()
        self._showing = Latency()
        self._painted_at_s = 0.0
        self._thread = threading.Thread(target=self._work, name="streamstyle-paint", daemon=True)
        self._capture.start()
        self._thread.start()

    # Called by a front end.

    def wait(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not returned yet; None if none came within `timeout_s` seconds.

        Raises whatever ended the painting.
        """
        with self._shown:
            self._shown.wait_for(
                lambda: self._latest is not None or self._ended or self._error is not None,
                timeout_s,
            )
            if self._error is not None:
                raise self._error
            frame, self._latest = self._latest, None
            return frame

    @property
    def ended(self) -> bool:
        """Whether the source has ended and `wait` has returned its last frame."""
        with self._shown:
            return self._ended and self._latest is None

    def was_shown(self, frame: Frame) -> None:
        """Note that the front end has shown `frame`; its age is measured up to this call."""
        at_s = now_s()
        age_s = at_s - frame.captured_at_s
        self._age.add(age_s)
        self._showing.add(at_s - self._painted_at_s)
        self._shown_rate.add(at_s)
        self._governor.shown(at_s, age_s)

    @property
    def controls(self) -> Controls:
        """The settings in use."""
        return self._controls

    @property
    def size(self) -> Size:
        """(width, height) in pixels at which the network works now."""
        return self._governor.size

    @property
    def largest(self) -> Size:
        """Largest (width, height) in pixels that the user allows the network."""
        return self._governor.rungs[self._governor.highest]

    def status(self) -> Status:
        """Return the present rates, ages, sizes and problems."""
        at_s = now_s()
        stages = {**self._painter.stages, "show": self._showing}
        return Status(
            source=self._capture.info.name,
            fps_in=self._capture.rate.present(at_s),
            fps_out=self._shown_rate.present(at_s),
            mean_fps_in=self._capture.rate.mean(),
            mean_fps_out=self._shown_rate.mean(),
            fps_promised=self._governor.fps,
            age_ms=tuple(self._age.percentile_ms(p) for p in (50, 95, 99)),  # type: ignore[arg-type]
            stages_ms={name: stage.percentile_ms(50) for name, stage in stages.items()},
            dropped=self._capture.frames.dropped,
            shown=self._age.count,
            size=self._governor.size,
            engine=self._painter.engine,
            problems=self.problems,
            recording=self._recordings.target,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """Present problems, one sentence each."""
        problems = [*self._engines.problems.values(), *self._recordings.problems]
        first = [] if self._capture.problem is None else [self._capture.problem]
        return (*first, *problems)

    @property
    def fatal_problem(self) -> str | None:
        """Why this session is of no use unless something is changed; None if it is.

        Either the first style can't be opened, or every recording and stream has failed.
        """
        problems = list(self._engines.problems.values())
        if problems and not self._painter.engine:
            return problems[0]
        return self._recordings.problems[0] if self._recordings.all_failed else None

    # Called when a user does something.

    def change(self, controls: Controls) -> None:
        """Use `controls` from the next frame on, and try again whatever has failed."""
        self._engines.retry_failed()
        self._controls = controls

    def next_style(self, step: int = 1) -> None:
        """Change to the next style of the model, or with `step` -1 to the previous one."""
        names, at = self.styles()
        self.change(replace(self._controls, style=names[(at + step) % len(names)]))

    def drop(self, file: str) -> None:
        """Change to the style in `file`: a model, or a picture for the present model."""
        try:
            style = style_of_dropped(file, self._controls.style)
        except (UserError, EngineError, OSError):  # in the present style; the status shows it
            style = parse_style(file)
        self.change(replace(self._controls, style=style))

    def styles(self) -> tuple[list[StyleSpec], int]:
        """Return the styles to step through, and the index of the present one among them.

        They are those of its model. A model of one style is followed by the default model's
        styles; the index is then -1.
        """
        try:
            names, number = styles_beside(self._controls.style)
            if len(names) > 1:
                return names, number
        except (UserError, EngineError, OSError):  # the status shows it, or a folder is gone
            pass
        return styles_beside(parse_style(DEFAULT_STYLE))[0], -1

    def quality(self, step: int) -> None:
        """Limit the network's size: -1 to one step below the present, 1 to one step more."""
        governor = self._governor
        governor.allow(governor.rung + 1 if step < 0 else governor.highest - 1)

    def add(self, name: str, sink: Sink) -> None:
        """Give every frame to `sink` as well.

        If it fails or is too slow, it is cut off, and `status` says so.
        """
        self._recordings.add(name, sink)

    def record(self, target: Path) -> None:
        """Write the painting into a video file until `stop_recording`."""
        self._recordings.record(target)

    def stop_recording(self) -> None:
        """End the file; it appears under its name as soon as the last frames are in it."""
        self._recordings.stop()

    def snapshot(self, target: Path) -> None:
        """Write the last painting as an image. Raises UserError before the first."""
        if self._last_painting is None:
            raise UserError("there is no picture yet")
        Pillow.fromarray(square(self._last_painting, self.pixel_aspect)).save(target)

    def close(self) -> None:
        """End the session and complete every file; `notes` then says what there is to say."""
        self._capture.stop()
        self._thread.join()
        self._capture.join()
        self._engines.close()
        if self._mask is not None:
            self._mask.close()
        self._recordings.close()
        notes = (*self.notes, *self._capture.notes, *self._recordings.notes)
        self.notes = list(dict.fromkeys(notes))

    # The painting thread.

    def _work(self) -> None:
        try:
            for frame in self._capture.frames:
                controls = self._controls
                if not controls.paused:
                    self._offer(self._painted(frame, controls))
        except Cancelled:
            pass
        except BaseException as error:
            self._error = error
            self._capture.stop()
        finally:
            with self._shown:
                self._error = self._error or self._capture.error
                self._ended = True
                self._shown.notify_all()

    def _painted(self, frame: Frame, controls: Controls) -> Frame:
        """Return the frame to be shown, and give the painting to every sink."""
        original = mirrored(frame.image, False, controls.mirror)
        frame = frame.with_image(original)
        painting = self._painter.paint(frame, controls)
        if painting is None:  # a window is never empty
            return frame
        self._last_painting = painting
        self._recordings.put(frame.with_image(painting))
        return frame.with_image(viewed(painting, original, controls))

    def _offer(self, frame: Frame) -> None:
        with self._shown:
            self._latest = frame
            self._painted_at_s = now_s()
            self._shown.notify_all()
