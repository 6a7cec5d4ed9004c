"""Painting files: what `streamstyle video` and `streamstyle image` do, for programs."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from engines import Engine, Placement
from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.painting.look import Look
from streamstyle.painting.masks import open_mask
from streamstyle.painting.painter import Painter
from streamstyle.pipeline import Pipeline, Stats
from streamstyle.sinks import Encoding, ImageSink, Sink, VideoSink
from streamstyle.sinks.atomic_file import check_not_input, check_target
from streamstyle.sinks.images import check_suffix, still_name
from streamstyle.sources import Clip, Source, SourceInfo, StillSource, open_video
from streamstyle.styles import DEFAULT_STYLE, StyleSpec, as_spec, open_engine

MAX_PAINTERS = 4
"""Frames in work at the same time: each takes memory of its own."""


@dataclass(frozen=True)
class Report:
    """How a run went."""

    source: SourceInfo
    target: Path
    engine: str
    """The backend, device and precision really used."""
    stats: Stats
    notes: tuple[str, ...]
    """What could not be kept or was not as it should be; one sentence each."""


@dataclass(frozen=True)
class Region:
    """Which part of the picture to paint."""

    mask: str
    """An image or video, white inside, or an .onnx file that segments: see `masks.open_mask`."""
    inverted: bool = False
    """Paint outside of the mask."""
    elsewhere: Engine | None = None
    """What paints the rest, open already; None leaves it as it is."""
    elsewhere_style: str | Path | StyleSpec | None = None
    """What that paints in, whose pictures are then not overwritten."""
    placement: Placement = Placement()
    """Where a network that segments runs."""


Progress = Callable[[SourceInfo, Stats], None]


def paint_video(
    source: str | Path,
    target: str | Path,
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    engine: Engine | None = None,
    look: Look = Look(),
    region: Region | None = None,
    clip: Clip = Clip(),
    encoding: Encoding = Encoding(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Report:
    """Paint a video file, an address or pattern:NAME into a video file, or into a folder of PNG
    images if `target` is a folder or ends in a slash.

    `style` is a `StyleSpec` or what --style takes (see `parse_style`): a name that `streamstyle
    styles` lists, the path of an ONNX file or of a picture; `engine` is one that is open already
    and paints in it, to be used and left open. With `region`, only a part is painted. Timing, size,
    color, sound, subtitles, chapters and metadata come out as they went in. `on_progress` is called
    ten times a second.

    Raises UserError or EngineError with one sentence for the user; `target` is then untouched, and
    a note on the error says where a part that can be watched was left, if any was painted.
    """
    folder = str(target).endswith(("/", "\\")) or Path(target).is_dir()
    inputs = _inputs(source, style, region)
    check_not_input(Path(target), *inputs)
    if not folder:
        check_target(Path(target), overwrite)
    elif encoding != Encoding():
        raise UserError(
            f"{target} is a folder, for PNG images, which take no --codec, --crf or --preset; "
            "leave them out, or give the name of a video file"
        )
    with open_video(str(source), clip) as video:
        assert video.info.video is not None
        sink: Sink
        if folder:
            sink = ImageSink(Path(target), folder=True, overwrite=overwrite, inputs=inputs)
        else:
            sink = VideoSink(Path(target), video.info.video, video.tracks, encoding, overwrite)
        return _run(
            video, sink, Path(target), style, engine, look, region, on_progress, clip.start_seconds
        )


def paint_image(
    source: str | Path,
    target: str | Path,
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    engine: Engine | None = None,
    look: Look = Look(),
    region: Region | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Report:
    """Paint an image file into an image file, or every image of a folder into another folder.

    Size, transparency, color profile and EXIF data come out as they went in. For the rest see
    `paint_video`.
    """
    source, target = Path(source), Path(target)
    check_not_input(target, *_inputs(source, style, region))
    folder = source.is_dir()
    if not folder and not target.is_dir():
        check_suffix(target)
        check_target(target, overwrite)
    stills = StillSource(source)
    if folder or target.is_dir():
        for path in stills.paths:
            painted = target / still_name(path.name)
            check_not_input(painted, *_inputs(path, style, region))
            check_target(painted, overwrite, parent_exists=False)
    sink = ImageSink(target, folder=folder or target.is_dir(), overwrite=overwrite)
    return _run(stills, sink, target, style, engine, look, region, on_progress)


def _run(
    source: Source,
    sink: Sink,
    target: Path,
    style: str | Path | StyleSpec,
    engine: Engine | None,
    look: Look,
    region: Region | None,
    on_progress: Progress | None,
    start_seconds: Fraction | None = None,
) -> Report:
    with ExitStack() as stack:
        used = stack.enter_context(open_engine(style)) if engine is None else engine
        mask = None
        if region is not None:
            opened = open_mask(region.mask, region.inverted, start_seconds, region.placement)
            mask = stack.enter_context(closing(opened))
        elsewhere = None if region is None else region.elsewhere
        painter = Painter(used, look, mask=mask, outside=elsewhere)
        painters = painter.set_concurrency(min(system.cores(), MAX_PAINTERS))
        stack.callback(used.set_concurrency, 1)
        if source.info.width is not None and source.info.height is not None:
            painter.prepare(source.info.width, source.info.height)
        pipeline = Pipeline(source, painter, sink, painters=painters)

        def on_tick(stats: Stats) -> None:
            if on_progress is not None:
                on_progress(source.info, stats)

        try:
            stats = pipeline.run(on_tick)
        except BaseException as error:
            for note in (*source.notes, *sink.notes):
                error.add_note(note)
            raise
        notes = (*source.notes, *sink.notes)
        return Report(source.info, target, describe(used), stats, notes)


def describe(engine: Engine) -> str:
    return f"{engine.backend} on {engine.device.lower()} in {engine.precision}"


def _inputs(source: str | Path, style: str | Path | StyleSpec, region: Region | None) -> list[str]:
    """What must not be overwritten."""
    inputs = [str(source), *as_spec(style).pictures]
    if region is not None:
        inputs.append(region.mask)
        if region.elsewhere_style is not None:
            inputs += as_spec(region.elsewhere_style).pictures
    return inputs
