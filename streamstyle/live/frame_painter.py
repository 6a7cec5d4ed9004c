"""Paint live frames, one at a time, at the size that the governor chooses."""

from dataclasses import replace

from streamstyle.frame import Frame, Image
from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import EnginePool
from streamstyle.live.resolution_governor import Governor, Size
from streamstyle.live.style_mixer import Fade, StyleMixer
from streamstyle.painting.compositor import Compositor, Layer
from streamstyle.painting.masks import Mask
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import engine_label
from streamstyle.timing import Latency, now_s


class FramePainter:
    """Paints frame after frame. Only one thread may use it."""

    def __init__(self, engines: EnginePool, governor: Governor, mask: Mask | None) -> None:
        """Set up painting; with `mask`, the second style, if there is one, paints the outside."""
        self.engine = ""
        """Engine of the last frame, as text; empty before the first frame."""
        self.stages = {name: Latency() for name in ("wait", "network", "finish")}
        """How long each stage took."""
        self._engines = engines
        self._governor = governor
        self._masked = mask is not None
        self._mix = StyleMixer(engines)
        self._mix_outside = StyleMixer(engines)
        self._fade = Fade()
        self._compositor = Compositor(mask, Stabilizer())

    def paint(self, frame: Frame, controls: Controls) -> Image | None:
        """Return the painting of `frame`, in its size; None while the first style is loaded."""
        sizes = self._governor.wanted()
        started_at_s = now_s()
        inside = replace(controls, second_style=None) if self._masked else controls
        layers, changed = self._mix.layers(inside, sizes, started_at_s)
        if not layers:
            return None
        if changed:
            self._fade.start()
        outside = self._outside(controls, sizes, started_at_s) if self._masked else []
        painted = self._compositor.paint(frame, sizes[0], layers, outside)
        painted_at_s = now_s()
        previous_weight = self._fade.previous_weight(started_at_s)
        painting = self._compositor.finish(painted, controls, previous_weight)
        at_s = now_s()
        self.stages["wait"].add(started_at_s - frame.captured_at_s)
        self.stages["network"].add(painted_at_s - started_at_s)
        self.stages["finish"].add(at_s - painted_at_s)
        self.engine = engine_label(layers[0].engine)
        self._governor.painted(at_s, at_s - started_at_s, frame.captured_at_s)
        self._governor.decide(at_s, self._engines.ready())
        return painting

    def _outside(self, controls: Controls, sizes: tuple[Size, ...], at_s: float) -> list[Layer]:
        """Return what paints outside of the mask; empty if nothing does."""
        if controls.second_style is None:
            self._mix_outside.release(sizes)
            return []
        second = replace(controls, style=controls.second_style, second_style=None)
        return self._mix_outside.layers(second, sizes, at_s)[0]
