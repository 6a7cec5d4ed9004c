"""The text about a session that the window shows."""

from pathlib import Path

from streamstyle.live.controls import Controls
from streamstyle.live.status import Status
from streamstyle.styles import StyleSpec


def lines_of(status: Status, controls: Controls) -> list[str]:
    """Return lines of text about how a session is doing, without its problems."""
    style = _short(controls.style)
    if controls.second_style is not None:
        style += f" + {controls.mix:.0%} {_short(controls.second_style)}"
    p50, p95, p99 = status.age_ms
    width, height = status.size
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in status.stages_ms.items())
    lines = [
        f"{style}, stroke {controls.stroke:.0%}, strength {controls.strength:.0%}, "
        f"steady {controls.steady:.0%}",
        f"{status.fps_out:.0f} fps of {status.fps_in:.0f}, {status.fps_promised:.0f} wanted, "
        f"{status.dropped} dropped",
        f"age {p50:.0f} ms, 95 % {p95:.0f}, 99 % {p99:.0f}",
        f"ms: {stages}",
        f"network at {width}x{height}, {status.engine or 'loading'}",
    ]
    if status.recording is not None:
        lines.append(f"recording {status.recording.name}")
    if controls.paused:
        lines.append("paused")
    return lines


def _short(style: StyleSpec) -> str:
    """Return a short name of a style; files lose their folder and suffix."""
    return " + ".join(Path(part.picture or part.name or part.model).stem for part in style.parts)
