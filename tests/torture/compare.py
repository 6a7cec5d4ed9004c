"""Paint a clip with strength 0, and compare what comes out with what went in."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from engines import Engine, EngineError
from streamstyle import Look, UserError, VideoSettings, open_engine, paint_video
from streamstyle.sinks import Encoding
from tests.helpers.clips import EXACT
from tests.helpers.isolated import Failure, Isolated
from tests.helpers.models import write_inverter
from tests.torture.clips import PATCHES, TONE_HZ, CannotWriteError, Case, suffix, write_clip

CRF = 8.0
"""Fine enough that what the encoder loses doesn't count."""
COLOR_LEVELS = 1.5
RAW = {"mjpeg", "h263", "mpegvideo", "h264", "hevc", "m4v", "rawvideo"}
"""Readers of raw streams; they find pictures in containers that can't be read otherwise."""
RAW_WRITERS = RAW | {"mpeg1video", "mpeg2video"}
DITHER_SHARE = 0.3
"""Half of the chroma samples of dithered patches are lost, which shifts their mean."""
STRIP_LEVELS = 3.0
"""Neighboring frames differ by 4."""
SOUND_SECONDS = 0.06
"""A frame of the sound codecs with the longest ones."""
PITCH = 0.005


class Outcome(Enum):
    """What became of a clip."""

    NOT_MADE = "can't be written and read back"
    RIGHT = "right"
    NOTED = "noted"
    REFUSED = "refused"
    WRONG = "wrong"


@dataclass(frozen=True)
class Verdict:
    """The outcome, and what is behind it."""

    outcome: Outcome
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Decoded:
    """A file as a plain reader decodes it."""

    times: list[Fraction | None]
    tick: Fraction
    patches: NDArray[np.float64]
    """Mean color of each patch in each frame (frames, patches, 3)."""
    dither: NDArray[np.float64]
    """Standard deviation of the pixels in each patch of each frame."""
    strips: NDArray[np.float64]
    """Mean of the gray strip in each frame."""
    sound_seconds: float = 0.0
    sound_start: float | None = None
    pitch: float = 0.0


SECONDS = 60.0
"""The longest that one case may take."""


class Checker:
    """Checks cases in another process, because some encoders of FFmpeg crash."""

    def __init__(self, target: str) -> None:
        self._check = Isolated(partial(check, target=target), lambda _: SECONDS)
        self._write = Isolated(_write, lambda _: SECONDS)

    def __call__(self, case: Case) -> Verdict:
        verdict = self._check(case)
        if not isinstance(verdict, Failure):
            return verdict
        if isinstance(self._write(case), Failure):
            return Verdict(Outcome.NOT_MADE)
        return Verdict(Outcome.WRONG, (verdict.reason,))

    def close(self) -> None:
        self._check.close()
        self._write.close()


def _write(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(CannotWriteError):
        write_clip(Path(folder, f"in{suffix(case.container)}"), case)


def check(case: Case, target: str) -> Verdict:
    """Make the clip, paint it into a file that ends in `target`, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"in{suffix(case.container)}")
        painted = Path(folder, f"out{target}")
        try:
            write_clip(source, case)
            expected = decode(source, case)
        except (CannotWriteError, FFmpegError, ValueError, IndexError):
            return Verdict(Outcome.NOT_MADE)
        if not _is_what_was_written(expected, case):
            return Verdict(Outcome.NOT_MADE)
        settings = VideoSettings(
            look=Look(strength=0), encoding=Encoding(preset="ultrafast", crf=CRF)
        )
        try:
            report = paint_video(source, painted, engine=_engine(), settings=settings)
        except (UserError, EngineError) as error:
            if painted.exists():
                return Verdict(Outcome.WRONG, (f"a file is left: {error}",))
            return Verdict(Outcome.REFUSED, (str(error).replace(folder, ""),))
        notes = tuple(note.replace(folder, "") for note in report.notes)
        differences = tuple(_differences(expected, decode(painted, case)))
    if not differences:
        return Verdict(Outcome.RIGHT, notes=notes)
    return Verdict(Outcome.NOTED if notes else Outcome.WRONG, differences, notes)


def decode(path: Path, case: Case) -> Decoded:
    """Decode with nothing but FFmpeg."""
    with av.open(path) as file:
        video = file.streams.best("video")
        audio = file.streams.best("audio") if case.sound else None
        if video is None or (file.format.name in RAW and case.container not in RAW_WRITERS):
            raise ValueError("no picture, or misread")
        times, patches, dither, strips, samples, starts = [], [], [], [], [], []
        rate = audio.sample_rate if audio else 0
        with suppress(EOFError):
            for packet in file.demux(*filter(None, (video, audio))):
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        image = frame.to_ndarray(format="rgb24", interpolation=EXACT)
                        times.append(None if frame.pts is None else frame.pts * frame.time_base)
                        patches.append([patch.mean((0, 1)) for patch in _patches(image)])
                        dither.append([patch.std((0, 1)).max() for patch in _patches(image)])
                        strips.append(_strip(image))
                    elif isinstance(frame, av.AudioFrame):
                        rate = frame.sample_rate
                        starts.append(None if frame.pts is None else frame.pts * frame.time_base)
                        samples.append(_mono(frame))
        decoded = Decoded(
            times, video.time_base, np.array(patches), np.array(dither), np.array(strips)
        )
    if samples and rate:
        tone = np.concatenate(samples)
        decoded.sound_seconds = len(tone) / rate
        decoded.pitch = _pitch(tone, rate)
        if starts[0] is not None and times[0] is not None:
            decoded.sound_start = float(starts[0] - times[0])
    return decoded


def _is_what_was_written(decoded: Decoded, case: Case) -> bool:
    """Return False for a file that can't state its pixel format, rate or sound, and is misread."""
    if not decoded.times or not _is_steady(decoded.times, decoded.tick):
        return False
    if case.sound:
        return abs(decoded.pitch - TONE_HZ) < PITCH * TONE_HZ
    intended = np.array(PATCHES, float)
    # Some formats have no colors, or four bits; but neighbors are in the right order of brightness.
    luma = np.array([0.299, 0.587, 0.114])
    return np.abs((decoded.patches - intended) @ luma).mean(axis=1).max() < 30


def _is_steady(times: list[Fraction | None], tick: Fraction) -> bool:
    """Return whether a rate is kept to within a tick; raw streams have no times at first."""
    known = [(number, time) for number, time in enumerate(times) if time is not None]
    if len(known) < 2:
        return True
    (first, start), (last, end) = known[0], known[-1]
    step = (end - start) / (last - first)
    return all(abs(start + (n - first) * step - time) <= tick for n, time in known)


def _differences(expected: Decoded, found: Decoded) -> list[str]:
    differences = []
    if len(found.times) != len(expected.times):
        differences.append(f"{len(found.times)} frames of {len(expected.times)}")
    else:
        strip = np.abs(found.strips - expected.strips).max()
        if strip > STRIP_LEVELS + DITHER_SHARE * expected.dither.max():
            differences.append(f"frames in another order, or {strip:.1f} levels lighter or darker")
        late = _time_error(expected, found)
        if late > max(expected.tick, found.tick):
            differences.append(f"times differ by {float(late):.3f} s")
        colors = np.abs(found.patches - expected.patches).max(axis=(0, 2))
        excess = colors - DITHER_SHARE * expected.dither.max(axis=0)
        if excess.max() > COLOR_LEVELS:
            worst = int(excess.argmax())
            differences.append(f"color {PATCHES[worst]} differs by {colors[worst]:.1f} levels")
    if expected.sound_seconds:
        length = found.sound_seconds - expected.sound_seconds
        if abs(length) > SOUND_SECONDS:
            differences.append(
                f"{found.sound_seconds:.3f} s of sound, not {expected.sound_seconds:.3f}"
            )
        if abs(found.pitch - expected.pitch) > PITCH * expected.pitch:
            differences.append(f"pitch {found.pitch:.1f} Hz, not {expected.pitch:.1f}")
        if found.sound_start is not None and expected.sound_start is not None:
            shift = found.sound_start - expected.sound_start
            if abs(shift) > SOUND_SECONDS:
                differences.append(f"sound begins {shift:+.3f} s from where it did")
    return differences


def _time_error(expected: Decoded, found: Decoded) -> Fraction:
    if None in expected.times or None in found.times:
        return Fraction(0) if None not in found.times else Fraction(10**6)
    return max(
        abs((theirs - expected.times[0]) - (ours - found.times[0]))
        for theirs, ours in zip(expected.times, found.times, strict=True)
    )


def _patches(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the inside of each patch, away from its edges."""
    height, width = image.shape[:2]
    inside = []
    for number in range(len(PATCHES)):
        left, right = (width * n // len(PATCHES) for n in (number, number + 1))
        margin = (right - left) // 4
        inside.append(image[height // 8 : height * 9 // 16, left + margin : right - margin])
    return inside


def _strip(image: NDArray[np.uint8]) -> float:
    height = image.shape[0]
    return float(image[height * 7 // 8 : height * 15 // 16].mean())


def _mono(frame: av.AudioFrame) -> NDArray[np.float64]:
    samples = frame.to_ndarray().astype(np.float64)
    if frame.format.is_planar:
        return samples[0]
    return samples[0, :: len(frame.layout.channels)]


def _pitch(tone: NDArray[np.float64], rate: int) -> float:
    """Return the strongest frequency in the middle second; 0 if there is less than that."""
    middle = tone[len(tone) // 2 - rate // 2 :][:rate]
    if len(middle) < rate or not np.ptp(middle):
        return 0.0
    spectrum = np.abs(np.fft.rfft((middle - middle.mean()) * np.hanning(rate), 4 * rate))
    return float(np.fft.rfftfreq(4 * rate, 1 / rate)[spectrum.argmax()])


@cache
def _engine() -> Engine:
    """Return the fastest engine there is; nothing of what it paints is seen at strength 0."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "inverter.onnx")
        write_inverter(path)
        return open_engine(path)
