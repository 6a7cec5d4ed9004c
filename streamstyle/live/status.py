"""What a session tells of itself."""

from dataclasses import dataclass
from pathlib import Path

from streamstyle.live.resolution_governor import Size


@dataclass(frozen=True)
class Status:
    """How a session is doing, for people and programs."""

    source: str
    fps_in: float
    """Frames per second that came of late."""
    fps_out: float
    fps_promised: float
    mean_fps_in: float
    """From beginning to end, as `mean_fps_out`."""
    mean_fps_out: float
    age_ms: tuple[float, float, float]
    """p50, p95, p99 of the age of a frame when it was shown."""
    stages_ms: dict[str, float]
    """Where that time goes, medians: "wait" for the painter to be free, "network", "finish"
    (resizing, steadying, mixing), "show" until it is on the screen."""
    dropped: int
    shown: int
    size: Size
    """At which the network works."""
    engine: str
    """Backend, device and precision really used; empty until the first style is ready."""
    problems: tuple[str, ...]
    """What is wrong at present, one sentence each."""
    recording: Path | None
