"""The middle of the pipeline: from a frame to a painted frame."""

from dataclasses import dataclass, replace

import numpy as np

from engines import MIN_SIDE, NO_STYLE, Engine, Style, in_regions
from streamstyle.errors import UserError, check_share
from streamstyle.frame import Frame, Image, Still
from streamstyle.limited import limited
from streamstyle.masks import Mask, Part, masks_of
from streamstyle.pixels import blended, composed, recolored, resized
from streamstyle.stabiliser import Stabiliser
from streamstyle.styles import side_by_side

MOST_SIDE = 16384
"""Pixels of a side that may be asked for, twice those of 8K: with more, memory does not suffice."""


@dataclass(frozen=True)
class Look:
    """What a painted frame is to look like."""

    strength: float = 1.0
    """0 is the original, 1 the painting; between, the two are blended."""
    width: int | None = None
    """Of the frame as the network sees it, in pixels; None follows height, scale or the input, of
    which some networks see at most so many pixels (ModelCard.most_pixels)."""
    height: int | None = None
    scale: float | None = None
    """Of the frame as the network sees it, relative to the input."""
    resize: bool = False
    """Leave the frame at the network's size instead of the input's."""
    side_by_side: bool = False
    """Put the original to the left of the painting."""
    keep_colors: bool = False
    """Take only light and dark from the painting, and the colors from the original."""

    steady: float = 0.0
    """Of video: 0 leaves every frame as it is painted, 1 keeps most of the one before."""

    def __post_init__(self) -> None:
        check_share("steadiness", self.steady)
        check_share("strength", self.strength)
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise UserError("give a scale, or a width and height, not both")
        if self.scale is not None and not 0 < self.scale <= 4:
            raise UserError(f"a scale is above 0 and at most 4, got {self.scale}")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and side < MIN_SIDE:
                raise UserError(f"a {name} is at least {MIN_SIDE} pixels, got {side}")

    @property
    def is_sized(self) -> bool:
        """Whether it says at which size the network sees a frame."""
        return not self.scale is self.width is self.height is None

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) at which the network sees a frame of this size. Raises UserError where
        more than MOST_SIDE is asked for."""
        scale = self.scale or 1.0
        if self.width is not None:
            scale = self.width / width
        elif self.height is not None:
            scale = self.height / height
        across, down = (max(MIN_SIDE, round(side * scale)) for side in (width, height))
        if self.width is not None and self.height is not None:
            across, down = self.width, self.height
        if across > max(MOST_SIDE, width) or down > max(MOST_SIDE, height):
            raise UserError(
                f"the network works at up to {MOST_SIDE} pixels a side, or the input's own, got "
                f"{across}x{down}; give a smaller width, height or scale"
            )
        return across, down


class Painter:
    """Paints frames with an engine. Used by one thread, or as many as `share` allows."""

    def __init__(
        self,
        engine: Engine,
        look: Look,
        style: Style = NO_STYLE,
        mask: Mask | None = None,
        outside: Engine | None = None,
    ) -> None:
        """With `mask`, only what is inside is painted; what is outside is painted by the engine
        `outside`, or left as it is. Unless the look says at which size, neither sees more pixels
        than its card allows."""
        if not look.is_sized:
            engine = limited(engine)
            outside = None if outside is None else limited(outside)
        self._engine = engine
        self._look = look
        self._style = style
        self._mask = mask
        self._outside = outside
        self._stabiliser = Stabiliser() if look.steady else None
        self._both = None if outside is None else side_by_side(engine, outside)

    def prepare(self, width: int, height: int) -> None:
        """Do ahead what the first frame of this size would have to wait for."""
        width, height = self._look.working_size(width, height)
        for engine in (self._engine, self._outside):
            if engine is not None:
                engine.prepare(height, width)

    def share(self, threads: int) -> int:
        """As `Engine.share`, for what is painted here: 1 if frames depend on the ones before."""
        in_order = self._mask is not None or self._stabiliser is not None
        return 1 if in_order else self._engine.share(threads)

    def __call__(self, frame: Frame) -> Frame:
        look = self._look
        seen = resized(frame.image, *look.working_size(frame.width, frame.height))
        original = seen if look.resize else frame.image
        height, width = original.shape[:2]
        if self._mask is None:
            painted = resized(self._paint(self._engine, frame, seen, self._style), width, height)
        else:
            painted = self._masked(self._mask(frame.with_image(original)), frame, seen, original)
        if self._stabiliser is not None and frame.still is None:
            painted = self._stabiliser(original, painted, look.steady)
        if look.keep_colors:
            painted = recolored(painted, original)
        if look.strength < 1:
            painted = blended(painted, original, look.strength)
        if look.side_by_side:
            painted = np.hstack([original, painted])
            frame = replace(frame, still=_twice(frame.still))
        return frame.with_image(painted)

    def _masked(self, part: Part, frame: Frame, seen: Image, original: Image) -> Image:
        """`part` of the original painted, and the rest as `outside` has it."""
        height, width = original.shape[:2]
        if self._both is not None:
            style = in_regions(self._both, masks_of(part))
            return resized(self._paint(self._engine, frame, seen, style), width, height)
        painted = resized(self._paint(self._engine, frame, seen, self._style), width, height)
        around = original
        if self._outside is not None:
            around = resized(self._paint(self._outside, frame, seen, NO_STYLE), width, height)
        return composed(painted, around, part)

    @staticmethod
    def _paint(engine: Engine, frame: Frame, seen: Image, style: Style) -> Image:
        if frame.still is not None:
            engine.begin()
        painted: Image = engine.paint(seen[np.newaxis], style)[0]
        return painted


def _twice(still: Still | None) -> Still | None:
    """What goes with a picture that is put beside itself."""
    if still is None or still.alpha is None:
        return still
    return replace(still, alpha=np.hstack([still.alpha, still.alpha]))
