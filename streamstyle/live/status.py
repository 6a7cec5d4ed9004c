"""The status that a session reports."""

from dataclasses import dataclass
from pathlib import Path

from streamstyle.live.resolution_governor import Size


@dataclass(frozen=True)
class Status:
    """How a session is doing, for people and programs."""

    source: str
    fps_in: float
    """Frames per second that the source has delivered recently."""
    fps_out: float
    """Frames per second that have been shown recently."""
    fps_promised: float
    """Frames per second that the session tries to hold."""
    mean_fps_in: float
    """Frames per second that the source has delivered, averaged over the session."""
    mean_fps_out: float
    """Frames per second that have been shown, averaged over the session."""
    age_ms: tuple[float, float, float]
    """Age of a frame when it was shown, in milliseconds: p50, p95 and p99."""
    stages_ms: dict[str, float]
    """Median time of each stage, in milliseconds.

    The stages are "wait" (until the painter is free), "network", "finish" (resizing, steadying,
    mixing) and "show" (until the frame is on the screen).
    """
    dropped: int
    shown: int
    size: Size
    """Size at which the network works, in pixels."""
    engine: str
    """Backend, device and precision really used; empty until the first style is ready."""
    problems: tuple[str, ...]
    """Present problems, one sentence each."""
    recording: Path | None
    """File that is being recorded, if any."""
