"""The commands `streamstyle live` and `streamstyle cameras`."""

import argparse
import sys
from functools import partial
from pathlib import Path

from streamstyle.cli.options import (
    add_decoding,
    add_engine,
    add_keep_colors,
    add_mask,
    add_steady,
    add_style,
    as_taken,
    clip_of,
    parse_size,
    placement_of,
    style_asked_for,
)
from streamstyle.errors import UserError
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import choose
from streamstyle.live.resolution_governor import Promise
from streamstyle.live.session import FALLBACK_FPS, LiveSession
from streamstyle.live.status import Status
from streamstyle.live.window import Window
from streamstyle.painting.masks import open_mask
from streamstyle.sinks.stream import StreamSink
from streamstyle.sinks.virtual_camera import VirtualCameraSink
from streamstyle.sources import open_live
from streamstyle.sources.camera import cameras
from streamstyle.sources.pattern import PREFIX as PATTERN
from streamstyle.styles import parse_style

NO_WINDOW_WAIT_S = 0.5


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle live` to its parser."""
    parser.add_argument(
        "source",
        nargs="?",
        default="0",
        help="camera (index or name), address, file, screen[:LEFT,TOP,WIDTHxHEIGHT], "
        f"{PATTERN}NAME, or - for standard input (default: camera 0)",
    )
    add_style(parser)
    parser.add_argument("--strength", type=float, default=1.0, help="0 (original) to 1 (painting)")
    add_steady(parser, 0.5)
    add_keep_colors(parser)
    add_mask(parser)
    parser.add_argument("--mirror", action="store_true", help="mirror the picture")
    parser.add_argument(
        "--size", type=parse_size, default=(640, 480), help="size to ask the camera for"
    )
    parser.add_argument(
        "--fps", type=float, help="frames per second to hold (default: the source's rate)"
    )
    parser.add_argument(
        "--max-latency-ms", type=float, default=120.0, help="maximum time from capture to screen"
    )
    parser.add_argument("--loop", action="store_true", help="start a file again at its end")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="play an address at its own pace, as files are always played",
    )
    add_decoding(parser)
    parser.add_argument("--record", type=Path, metavar="FILE", help="record from the beginning")
    parser.add_argument(
        "--stream",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="stream to rtmp://, srt://, udp:// or tcp://, or into FILE.m3u8; may be repeated",
    )
    parser.add_argument(
        "--virtual-camera", action="store_true", help="write to a camera for OBS, Zoom or Meet"
    )
    parser.add_argument("--no-window", action="store_true", help="only record or stream")
    add_engine(parser)


def live(options: argparse.Namespace) -> None:
    """Run `streamstyle live`."""
    promise = Promise(options.fps, options.max_latency_ms)
    fps = options.fps or FALLBACK_FPS
    opener, endless = open_live(
        options.source, options.size, fps, options.loop, options.realtime, clip_of(options)
    )
    chosen = partial(
        choose,
        backend=options.engine,
        device=options.device,
        precision=options.precision,
    )
    elsewhere = None
    if options.elsewhere is not None:
        elsewhere = as_taken(parse_style(options.elsewhere), options)
    controls = Controls(
        style=style_asked_for(options),
        stroke=options.stroke,
        strength=options.strength,
        steady=options.steady,
        mirror=options.mirror,
        keep_colors=options.keep_colors,
        second_style=elsewhere,
        mix=0.5,
    )
    for style in (controls.style, controls.second_style):
        if style is not None:
            chosen(style)  # opens no engine, but raises an error if there is no such style
    if options.record is not None and options.record.exists():
        raise UserError(f"{options.record} exists already; record into another file")
    if options.mask is None and (options.elsewhere is not None or options.invert_mask):
        raise UserError("--elsewhere and --invert-mask need a --mask")
    mask = (
        None
        if options.mask is None
        else open_mask(options.mask, options.invert_mask, placement=placement_of(options))
    )
    with LiveSession(opener, controls, promise, endless, chosen, mask) as session:
        if options.record is not None:
            session.record(options.record)
        for address in options.stream:
            session.add(f"stream to {address}", StreamSink(address, fps, session.pixel_aspect))
        if options.virtual_camera:
            session.add("virtual camera", VirtualCameraSink(fps, session.pixel_aspect))
        try:
            if options.no_window:
                _run_without_window(session)
            else:
                with Window(session) as window:
                    window.run()
        finally:
            status = session.status()
            session.close()
            if status.shown or session.notes:
                print_summary(status, session.notes)


def list_cameras(_options: argparse.Namespace) -> None:
    """Run `streamstyle cameras`."""
    known = cameras()
    for index, name in known.items():
        print(f"{index}  {name}")
    if not known:
        print("no camera is connected, or you have no permission to use it")


def print_summary(status: Status, notes: list[str]) -> None:
    """Print what a session did, on standard output."""
    p50, p95, p99 = status.age_ms
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in status.stages_ms.items())
    print(
        f"{status.source}: {status.shown} frames shown, {status.mean_fps_out:.1f} per second of "
        f"{status.mean_fps_in:.1f}, {status.dropped} dropped"
    )
    print(
        f"age when shown, median / 95 % / 99 %: {p50:.0f} / {p95:.0f} / {p99:.0f} ms ({stages}); "
        f"network at {status.size[0]}x{status.size[1]} by {status.engine or 'nothing'}"
    )
    for note in dict.fromkeys((*status.problems, *notes)):  # a failed sink is in both
        print(f"note: {note}")


def _run_without_window(session: LiveSession) -> None:
    """Run a session until its source ends.

    Raises UserError if a problem leaves nothing to wait for, since nobody is there to fix it.
    """
    told: set[str] = set()
    while not session.ended:
        frame = session.wait(NO_WINDOW_WAIT_S)
        if frame is not None:
            session.was_shown(frame)
        if (problem := session.fatal_problem) is not None:
            raise UserError(problem)
        for problem in session.problems:
            if problem not in told:
                print(f"note: {problem}", file=sys.stderr)
                told.add(problem)
