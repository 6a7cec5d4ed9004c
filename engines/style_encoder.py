"""Compute the style of a picture, for models that paint in any picture's style."""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from engines.base import NO_STYLE, STYLE_WEIGHTS, Frames, Style, check_inputs
from engines.errors import EngineError
from engines.graphs import Graph, Placement, open_graph
from engines.model_card import ModelCard
from engines.subgraphs import PICTURE, cut_out, split
from engines.wct import transform as wct

ON_CPU = Placement(device="cpu", precision="fp32")
"""Where styles are computed: on the CPU, because each is computed only once."""


def takes_pictures(card: ModelCard) -> bool:
    """Return whether the model can paint in the style of any picture."""
    return card.family == wct.WCT or bool(card.style_tensors)


def style_of(
    card: ModelCard,
    picture: Frames,
    levels: Sequence[str] = wct.DEFAULT_LEVELS,
    alpha: float = 1.0,
) -> Style:
    """Return the style inputs for the model of `card` that make it paint in a picture's style.

    `picture` is (1, H, W, 3). `levels` and `alpha` are for WCT. The style is computed once, on the
    CPU and in float32, whatever engine paints with it. Raises EngineError if the model takes no
    picture.
    """
    if not takes_pictures(card):
        raise EngineError(f"{card.path.name} paints in styles of its own, not in a picture's style")
    check_inputs(picture, NO_STYLE, ())
    if len(picture) != 1:
        raise EngineError(f"a style is made from one picture, got {len(picture)}")
    if card.style_tensors:
        encoder = _encoder(card.path, card.sha256, card.style_tensors)
        return {**_no_named_style(card), **encoder({PICTURE: picture})}
    return wct.style_of(card, partial(statistics_at, card, picture), levels, alpha)


def statistics_at(card: ModelCard, picture: Frames, level: str) -> wct.Statistics:
    """Return the statistics of a picture's features at a level of WCT."""
    graph = _level_graph(card.path, card.sha256, level)
    return wct.statistics_in(graph({"frame": picture, "masks": wct.WHOLE}))


def _no_named_style(card: ModelCard) -> Style:
    """Return weights of zero for the styles that the model knows by name."""
    rows = len(card.styles) * len(card.strokes)
    return {STYLE_WEIGHTS: np.zeros(rows, np.float32)} if rows else NO_STYLE


@lru_cache(maxsize=2)
def _encoder(path: Path, _sha256: str, tensors: tuple[str, ...]) -> Graph:
    return open_graph(split(path, tensors)[0], ON_CPU, any_size=True)


@lru_cache(maxsize=8)
def _level_graph(path: Path, _sha256: str, level: str) -> Graph:
    return open_graph(cut_out(path, level, wct.STATISTICS), ON_CPU, any_size=True)
