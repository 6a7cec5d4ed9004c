"""Painting files from a program, as `streamstyle video` and `streamstyle image` do."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from engines import Engine, Placement
from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.painting.look import Look
from streamstyle.painting.masks import open_mask
from streamstyle.painting.painter import Painter
from streamstyle.pipeline import Pipeline, Stats
from streamstyle.pipes import is_pipe
from streamstyle.sinks import Encoding, ImageSink, Sink, VideoSink
from streamstyle.sinks.atomic_file import check_not_input, check_target
from streamstyle.sinks.images import check_suffix, still_name
from streamstyle.sources import Clip, Source, SourceInfo, StillSource, open_video
from streamstyle.styles import DEFAULT_STYLE, StyleSpec, as_spec, engine_label, open_engine

MAX_PAINTERS = 4
"""Frames in work at the same time: each takes memory of its own."""


@dataclass(frozen=True)
class Report:
    """What a run read and wrote, and how fast."""

    source: SourceInfo
    target: Path
    engine: str
    """The backend, device and precision that painted."""
    stats: Stats
    notes: tuple[str, ...]
    """What could not be kept or was wrong with the input, one sentence each."""


@dataclass(frozen=True)
class Region:
    """The part of the picture to paint."""

    mask: str
    """An image or video that is white where to paint, or an ONNX file that segments."""
    inverted: bool = False
    """Paint outside of the mask instead of inside."""
    elsewhere: Engine | None = None
    """An open engine that paints the rest of the picture; None leaves the rest as it is."""
    elsewhere_style: str | Path | StyleSpec | None = None
    """The style of `elsewhere`; its pictures are protected from being overwritten."""
    placement: Placement = Placement()
    """Backend, device and precision of a network that segments."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How images are painted and written."""

    look: Look = Look()
    region: Region | None = None
    """None paints the whole picture."""
    overwrite: bool = False
    """Replace files that exist already."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings(ImageSettings):
    """How a video is read, painted and written."""

    clip: Clip = Clip()
    """The part of the video to take."""
    encoding: Encoding = Encoding()


Progress = Callable[[SourceInfo, Stats], None]


def paint_video(
    source: str | Path,
    target: str | Path,
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    engine: Engine | None = None,
    settings: VideoSettings = VideoSettings(),
    on_progress: Progress | None = None,
) -> Report:
    """Paint a video into a video file, or into a folder of PNG images.

    Timing, size, color, sound, subtitles, chapters and metadata come out as they went in.

    Args:
        source: A file, a pipe, an address, pattern:NAME, or - for standard input.
        target: A video file; a folder if it is one or ends in a slash; a pipe; or - for standard
            output, which gets Matroska.
        style: A `StyleSpec` or what --style takes (see `parse_style`): a name that `streamstyle
            styles` lists, or the path of an ONNX file or of a picture.
        engine: An open engine that paints in `style`; it stays open. None opens one.
        settings: How the video is read, painted and written.
        on_progress: Called ten times a second.

    Returns:
        What was read and written, how fast, and what could not be kept.

    Raises:
        UserError: The input or a setting can't be used. `target` is then untouched, and a note on
            the error says where a playable part was left, if any was painted.
        EngineError: The engine can't be opened or fails; the same holds for `target`.

    Examples:
        >>> from fractions import Fraction
        >>> part = VideoSettings(clip=Clip(duration_seconds=Fraction(1, 5)), look=Look(height=72))
        >>> report = paint_video("pattern:testsrc", "out.mp4", "small:great-wave", settings=part)
        >>> report.stats.frames
        5
    """
    piped = is_pipe(target)
    folder = not piped and (str(target).endswith(("/", "\\")) or Path(target).is_dir())
    inputs = _inputs(source, style, settings.region)
    check_not_input(Path(target), *inputs)
    overwrite, clip, encoding = settings.overwrite, settings.clip, settings.encoding
    if not folder and not piped:
        check_target(Path(target), overwrite)
    elif folder and encoding != Encoding():
        raise UserError(
            f"{target} is a folder, for PNG images, which take no --codec, --crf or --preset; "
            "leave them out, or give the name of a video file"
        )
    with open_video(str(source), clip) as video:
        assert video.info.video is not None
        sink: Sink
        if folder:
            sink = ImageSink(Path(target), folder=True, overwrite=overwrite, inputs=inputs)
            if (video.info.video.sample_aspect_ratio or 1) != 1:
                sink.notes.append(
                    f"the pixels of {video.info.name} are not square "
                    f"({video.info.video.sample_aspect_ratio}), which PNG images can't say"
                )
        else:
            sink = VideoSink(target, video.info.video, video.tracks, encoding, overwrite)
        with _opened(style, engine) as used, _painter(used, settings, clip) as painter:
            stats = _run(video, painter, sink, on_progress)
    return _report(video, sink, Path(target), used, stats)


def paint_image(
    source: str | Path,
    target: str | Path,
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    engine: Engine | None = None,
    settings: ImageSettings = ImageSettings(),
    on_progress: Progress | None = None,
) -> Report:
    """Paint an image into an image file, or every image of a folder into another folder.

    Size, transparency, color profile and EXIF data come out as they went in. For parameters and
    errors see `paint_video`.

    Examples:
        >>> from PIL import Image
        >>> Image.linear_gradient("L").convert("RGB").save("photo.png")
        >>> look = Look(strength=0.8, keep_colors=True)
        >>> settings = ImageSettings(look=look)
        >>> report = paint_image("photo.png", "out.png", "small:the-scream", settings=settings)
        >>> report.notes
        ()
    """
    source, target = Path(source), Path(target)
    region, overwrite = settings.region, settings.overwrite
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
    with _opened(style, engine) as used, _painter(used, settings, Clip()) as painter:
        stats = _run(stills, painter, sink, on_progress)
    return _report(stills, sink, target, used, stats)


def _opened(style: str | Path | StyleSpec, engine: Engine | None) -> AbstractContextManager[Engine]:
    return open_engine(style) if engine is None else nullcontext(engine)


@contextmanager
def _painter(engine: Engine, settings: ImageSettings, clip: Clip) -> Iterator[Painter]:
    region = settings.region
    with ExitStack() as stack:
        mask = None
        if region is not None:
            opened = open_mask(region.mask, region.inverted, clip.start_seconds, region.placement)
            mask = stack.enter_context(closing(opened))
        outside = None if region is None else region.elsewhere
        stack.callback(engine.set_concurrency, 1)
        yield Painter(engine, settings.look, mask=mask, outside=outside)


def _run(source: Source, painter: Painter, sink: Sink, on_progress: Progress | None) -> Stats:
    painters = painter.set_concurrency(min(system.cores(), MAX_PAINTERS))
    if source.info.width is not None and source.info.height is not None:
        painter.prepare(source.info.width, source.info.height)
    pipeline = Pipeline(source, painter, sink, painters=painters)

    def on_tick(stats: Stats) -> None:
        if on_progress is not None:
            on_progress(source.info, stats)

    try:
        return pipeline.run(on_tick)
    except BaseException as error:
        for note in (*source.notes, *sink.notes):
            error.add_note(note)
        raise


def _report(source: Source, sink: Sink, target: Path, engine: Engine, stats: Stats) -> Report:
    notes = (*source.notes, *sink.notes)
    return Report(source.info, target, engine_label(engine), stats, notes)


def _inputs(source: str | Path, style: str | Path | StyleSpec, region: Region | None) -> list[str]:
    """What must not be overwritten."""
    inputs = [str(source), *as_spec(style).pictures]
    if region is not None:
        inputs.append(region.mask)
        if region.elsewhere_style is not None:
            inputs += as_spec(region.elsewhere_style).pictures
    return inputs
