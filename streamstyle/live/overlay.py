"""Words over the picture, drawn into a copy: recordings and streams stay without them."""

from collections.abc import Sequence

from streamstyle.frame import Image
from streamstyle.live.controls import Controls
from streamstyle.live.session import Status
from streamstyle.pixels import load_opencv

_WHITE = (255, 255, 255)
_MARGIN = 10


def lines_of(status: Status, controls: Controls, promise_fps: float) -> list[str]:
    """What the overlay says."""
    style = controls.style
    if controls.second_style is not None:
        style += f" + {controls.mix:.0%} {controls.second_style}"
    p50, p95, p99 = status.age_ms
    width, height = status.size
    lines = [
        f"{style}, strength {controls.strength:.0%}, steady {controls.steady:.0%}",
        f"{status.fps_out:.0f} fps of {status.fps_in:.0f}, {promise_fps:.0f} wanted, "
        f"{status.dropped} dropped",
        f"age {p50:.0f} / {p95:.0f} / {p99:.0f} ms, painting {status.paint_ms:.0f} ms",
        f"network at {width}x{height}, {status.engine or 'loading'}",
    ]
    if status.recording is not None:
        lines.append(f"recording {status.recording.name}")
    if controls.paused:
        lines.append("paused")
    return [*lines, *status.problems]


def written(image: Image, lines: Sequence[str]) -> Image:
    """The picture with the lines at its top left, on a darkened ground; a copy."""
    cv2 = load_opencv()
    image = image.copy()
    scale = max(0.4, image.shape[0] / 1200)
    font = cv2.FONT_HERSHEY_SIMPLEX
    sizes = [cv2.getTextSize(line, font, scale, 1)[0] for line in lines]
    step = round(max(height for _, height in sizes) * 1.8)
    if (shrink := image.shape[0] / (step * len(lines) + _MARGIN)) < 1:
        scale *= shrink
        sizes = [cv2.getTextSize(line, font, scale, 1)[0] for line in lines]
        step = int(step * shrink)
    width = max(width for width, _ in sizes) + 2 * _MARGIN
    ground = image[: step * len(lines) + _MARGIN, :width]
    ground[:] = ground // 3
    for row, line in enumerate(lines, start=1):
        at = (_MARGIN, row * step)
        cv2.putText(image, line, at, font, scale, _WHITE, 1, cv2.LINE_AA)
    return image
