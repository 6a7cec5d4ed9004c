"""Decide how many photographs of a training are painted in each of its styles."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from export.data.style_table import StylePicture


class StyleShares:
    """Draws styles for photographs: by their shares, and more often those whose loss is high."""

    DECAY = 0.98
    """Decay of a style's average loss with each photograph painted in it."""

    MOST = 2.0
    """Largest factor by which a style is drawn more often, or less often, than its share."""

    def __init__(self, styles: Sequence[StylePicture], strokes: Sequence[float]) -> None:
        middle = len(strokes) // 2
        of_strokes = [2.0 if k == middle and len(strokes) > 1 else 1.0 for k in range(len(strokes))]
        self._shares = torch.tensor(
            [style.share * share for style in styles for share in of_strokes]
        )
        self._losses = torch.ones(len(self._shares))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw `count` styles and return their numbers, (count,)."""
        harder = (self._losses / self._losses.mean()).clamp(1 / self.MOST, self.MOST)
        return torch.multinomial(
            self._shares * harder, count, replacement=True, generator=generator
        )

    def learn(self, styles: Tensor, losses: Tensor) -> None:
        """Record the style losses, (N,), of pictures painted in `styles`, (N,)."""
        for style, loss in zip(styles.tolist(), losses.tolist(), strict=True):
            self._losses[style] = self.DECAY * self._losses[style] + (1 - self.DECAY) * loss

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self._losses}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        self._losses = state_dict["losses"].cpu()
