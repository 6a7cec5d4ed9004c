"""A picture that is painted as it comes: everything but the window."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image as Pillow

from engines import EngineError
from streamstyle.api import describe
from streamstyle.channel import Cancelled
from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame, Image
from streamstyle.image_ops import fitted, mirrored
from streamstyle.live.capture import Capture
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import Choice, EnginePool, choose
from streamstyle.live.recorder import TICK, Outlet
from streamstyle.live.resolution_governor import Governor, Promise, Size, ladder
from streamstyle.live.status import Status
from streamstyle.live.style_mixer import Fade, StyleMixer
from streamstyle.live.views import viewed
from streamstyle.media.color import BT709
from streamstyle.painting.compositor import Compositor, Layer
from streamstyle.painting.masks import Mask
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.sinks import Sink
from streamstyle.sinks.video import VideoSink
from streamstyle.sources import Source
from streamstyle.sources.base import VideoFormat
from streamstyle.styles import (
    DEFAULT_STYLE,
    StyleSpec,
    parse_style,
    style_of_dropped,
    styles_beside,
)
from streamstyle.timing import Latency, Rate, now_s

MAX_FPS = 60.0
"""That is held without being asked for: what most screens show."""

FALLBACK_FPS = 30.0
"""For a source that does not say its rate."""


class LiveSession(Closing):
    """Reads a source, paints every frame in time, and gives it to whoever shows it.

    A front end calls `wait` for the next painted frame, shows it, and tells `was_shown`. Methods
    may be called from any one thread; none of them waits for an engine, a camera or a disk, save
    `wait` and `close`.
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
        """`opener` opens the source, again each time it has gone if it is `endless`.
        `choose` finds what paints in a style. With `mask`, which is closed at the end, only what is
        inside is painted; outside, the second style if there is one. Raises UserError if the source
        can't be opened the first time.
        """
        self.notes: list[str] = []
        self._controls = controls
        self._capture = Capture(opener, endless)
        info = self._capture.info
        assert info.width is not None
        assert info.height is not None
        self.output_size: Size = (info.width, info.height)
        rate = info.video.frame_rate if info.video is not None else None
        self._governor = Governor(
            ladder(*self.output_size),
            promise.fps or min(MAX_FPS, float(rate or FALLBACK_FPS)),
            promise.max_latency_ms,
        )
        self._engines = EnginePool(choose)
        self._mask = mask
        self._mix = StyleMixer(self._engines)
        self._mix_outside = StyleMixer(self._engines)
        self._fade = Fade()
        self._compositor = Compositor(mask, Stabilizer())
        self._outlets: list[Outlet] = []
        self._takes: list[Outlet] = []
        """Recordings that are not complete, and those that failed until the next one."""
        self._recorder: Outlet | None = None
        self._recording: Path | None = None
        self._shown = threading.Condition()
        self._latest: Frame | None = None
        self._last_painting: Image | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._age = Latency()
        self._shown_rate = Rate()
        self._stages = {name: Latency() for name in ("wait", "network", "finish", "show")}
        self._painted_at_s = 0.0
        self._engine = ""
        self._painter = threading.Thread(target=self._work, name="streamstyle-paint", daemon=True)
        self._capture.start()
        self._painter.start()

    # What a front end asks.

    def wait(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not given yet; None if none came within `timeout_s`.

        Raises what ended the painting, if anything did.
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
        """The source has come to its end, and all of it was given."""
        with self._shown:
            return self._ended and self._latest is None

    def was_shown(self, frame: Frame) -> None:
        """The front end has shown a frame that `wait` gave; ages count to here."""
        at_s = now_s()
        age_s = at_s - frame.captured_at_s
        self._age.add(age_s)
        self._stages["show"].add(at_s - self._painted_at_s)
        self._shown_rate.add(at_s)
        self._governor.shown(at_s, age_s)

    @property
    def controls(self) -> Controls:
        return self._controls

    @property
    def size(self) -> Size:
        """At which the network works."""
        return self._governor.size

    @property
    def largest(self) -> Size:
        """That the network may work at, by what the user has allowed."""
        return self._governor.rungs[self._governor.highest]

    def status(self) -> Status:
        """How it goes: rates, ages, sizes and problems, as of now."""
        at_s = now_s()
        recorder = self._recorder
        return Status(
            source=self._capture.info.name,
            fps_in=self._capture.rate.present(at_s),
            fps_out=self._shown_rate.present(at_s),
            mean_fps_in=self._capture.rate.mean(),
            mean_fps_out=self._shown_rate.mean(),
            fps_promised=self._governor.fps,
            age_ms=tuple(self._age.percentile_ms(p) for p in (50, 95, 99)),  # type: ignore[arg-type]
            stages_ms={name: stage.percentile_ms(50) for name, stage in self._stages.items()},
            dropped=self._capture.frames.dropped,
            shown=self._age.count,
            size=self._governor.size,
            engine=self._engine,
            problems=self.problems,
            recording=self._recording if recorder is not None and recorder.running else None,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong at present, one sentence each."""
        problems = [self._capture.problem, *list(self._engines.problems.values())]
        problems += [outlet.problem for outlet in (*self._outlets, *self._takes)]
        return tuple(problem for problem in problems if problem)

    @property
    def fatal_problem(self) -> str | None:
        """Why nothing comes of it, or will unless somebody changes something: the first style
        can't be had, or all that it records and streams into has failed.
        """
        problems = list(self._engines.problems.values())
        if problems and not self._engine:
            return problems[0]
        outlets = (*self._outlets, *self._takes)
        if outlets and all(outlet.problem for outlet in outlets):
            return outlets[0].problem
        return None

    # What a user does.

    def change(self, controls: Controls) -> None:
        """Paint by these from the next frame on; what could not be had is tried again."""
        self._engines.retry_failed()
        self._controls = controls

    def next_style(self, step: int = 1) -> None:
        """The following style of the model, or with -1 the one before."""
        names, at = self.styles()
        self.change(replace(self._controls, style=names[(at + step) % len(names)]))

    def drop(self, file: str) -> None:
        """Paint in the style that a file is: a model, or a picture for the model that paints."""
        try:
            style = style_of_dropped(file, self._controls.style)
        except (UserError, EngineError, OSError):  # of the present style, which the status tells
            style = parse_style(file)
        self.change(replace(self._controls, style=style))

    def styles(self) -> tuple[list[StyleSpec], int]:
        """The styles to go through, and the present one's number among them: those of its model,
        or if that has no other, those of the default model, which are then not yet begun, -1.
        """
        try:
            names, number = styles_beside(self._controls.style)
            if len(names) > 1:
                return names, number
        except (UserError, EngineError, OSError):  # which the status tells, or a folder has gone
            pass
        return styles_beside(parse_style(DEFAULT_STYLE))[0], -1

    def quality(self, step: int) -> None:
        """With -1 a smaller size than the present one and none larger; with 1, one more that is
        larger is allowed.
        """
        governor = self._governor
        governor.allow(governor.rung + 1 if step < 0 else governor.highest - 1)

    def add(self, name: str, sink: Sink) -> None:
        """Give every frame to `sink` as well. Failing or slow, it is cut off, and `status` says
        so.
        """
        self._outlets.append(Outlet(name, sink))

    def record(self, target: Path) -> None:
        """Write the painting into a video file until `stop_recording`."""
        self.stop_recording()
        self._forget_takes()
        video = VideoFormat(
            time_base=TICK,
            frame_rate=None,
            sample_aspect_ratio=None,
            color=BT709,
            chroma="420",
        )
        self._recorder = Outlet(f"recording {target.name}", VideoSink(target, video, tracks=None))
        self._recording = target
        self._takes.append(self._recorder)

    def stop_recording(self) -> None:
        """End the file; it appears under its name as soon as the last frames are in it."""
        if self._recorder is not None:
            self._recorder.finish()
        self._recorder = self._recording = None

    def _forget_takes(self) -> None:
        """Or a session of days would grow with each recording."""
        ended = [take for take in self._takes if not take.running]
        self._takes = [take for take in self._takes if take not in ended]
        for take in ended:
            self.notes += take.notes

    def snapshot(self, target: Path) -> None:
        """Write the frame that was painted last as an image. Raises UserError before the first."""
        if self._last_painting is None:
            raise UserError("there is no picture yet")
        Pillow.fromarray(self._last_painting).save(target)

    def close(self) -> None:
        self._capture.stop()
        self._painter.join()
        self._capture.join()
        self.notes = list(dict.fromkeys((*self.notes, *self._capture.notes)))
        self._engines.close()
        if self._mask is not None:
            self._mask.close()
        self.stop_recording()
        for outlet in (*self._outlets, *self._takes):
            outlet.join()
            self.notes += outlet.notes
        self._outlets.clear()
        self._takes.clear()

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
        """The frame as it is to be shown."""
        width, height = self.output_size
        original = mirrored(fitted(frame.image, width, height), False, controls.mirror)
        sizes = self._governor.wanted()
        started_at_s = now_s()
        inside = controls if self._mask is None else replace(controls, second_style=None)
        layers, changed = self._mix.layers(inside, sizes, started_at_s)
        if not layers:  # so that a window is never empty while the first style is loaded
            return frame.with_image(original)
        if changed:
            self._fade.start()
        outside = [] if self._mask is None else self._outside(controls, sizes, started_at_s)
        painted = self._compositor.paint(frame.with_image(original), sizes[0], layers, outside)
        painted_at_s = now_s()
        previous_weight = self._fade.previous_weight(started_at_s)
        painting = self._compositor.finish(painted, controls, previous_weight)
        at_s = now_s()
        self._stages["wait"].add(started_at_s - frame.captured_at_s)
        self._stages["network"].add(painted_at_s - started_at_s)
        self._stages["finish"].add(at_s - painted_at_s)
        self._engine = describe(layers[0].engine)
        self._governor.painted(at_s, at_s - started_at_s, frame.captured_at_s)
        self._governor.decide(at_s, self._engines.ready())
        self._last_painting = painting
        for outlet in (*self._outlets, *self._takes):
            outlet.put(frame.with_image(painting))
        return frame.with_image(viewed(painting, original, controls))

    def _outside(self, controls: Controls, sizes: tuple[Size, ...], at_s: float) -> list[Layer]:
        """What paints outside of the mask, if anything does."""
        if controls.second_style is None:
            return []
        second = replace(controls, style=controls.second_style, second_style=None)
        return self._mix_outside.layers(second, sizes, at_s)[0]

    def _offer(self, frame: Frame) -> None:
        with self._shown:
            self._latest = frame
            self._painted_at_s = now_s()
            self._shown.notify_all()
