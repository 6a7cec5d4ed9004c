"""Show what the positional encoding does at another resolution.

This follows the ablation of StyTr2 (figure 7 of the paper): checkpoints of `train stytr2`, one with
--encoding cape and one with --encoding sinusoidal, paint one photo at two resolutions.

Usage: python -m benchmarks cape CHECKPOINT...
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from export.data.photos import load_picture, to_image
from export.families.stytr2.model import PATCH
from export.families.stytr2.train import load_trained_stytr2

TIMES = 3
"""Ratio of the two resolutions."""


def main() -> None:
    """Write a picture with a row for each checkpoint, and print a Markdown table.

    A row shows the encodings of the small and the large photo, then the paintings of both. The
    table says how much the large ones differ from the small ones enlarged: encodings relative to
    their variance, paintings by mean squared difference.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True, help="whose style to paint in")
    parser.add_argument("--side", type=int, default=192, help="short side of the small photo")
    parser.add_argument("--out", type=Path, default=Path("cape.png"))
    options = parser.parse_args()
    large = load_picture(options.photo, TIMES * options.side)
    # Keep whole patches at both resolutions: a place of the small photo is TIMES x TIMES places of
    # the large one.
    height, width = (side // (TIMES * PATCH) * TIMES * PATCH for side in large.shape[-2:])
    large = large[..., :height, :width]
    small = functional.interpolate(large, (height // TIMES, width // TIMES), mode="area")
    picture = load_picture(options.picture, 256)
    print("| net | encoding | difference / variance | painting, mean square |\n|---|---|---|---|")
    rows = []
    for path in options.checkpoints:
        net, config, _ = load_trained_stytr2(path)
        with torch.no_grad():
            style = net.style_of(picture)
            encodings = [net.content_of(photo)[1] for photo in (small, large)]
            painted = [net.paint(photo, *style) for photo in (small, large)]
        of_encodings, of_paintings = (_difference(*pair) for pair in (encodings, painted))
        share = of_encodings / encodings[1].var()
        print(f"| {path.parent.name} | {config.net.encoding} | {share:.2f} | {of_paintings:.4f} |")
        shown = [_enlarged(x, (height, width)) for x in (*_in_color(encodings), *painted)]
        rows.append(torch.cat(shown, dim=-1)[0])
    to_image(torch.cat(rows, dim=-2)).save(options.out)


def _difference(small: Tensor, large: Tensor) -> Tensor:
    return (
        (functional.interpolate(small, large.shape[-2:], mode="bilinear") - large).square().mean()
    )


def _enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size, mode="nearest")


def _in_color(encodings: list[Tensor]) -> list[Tensor]:
    """Show the three directions in which the first encoding varies most as red, green and blue."""
    _, _, directions = torch.pca_lowrank(encodings[0][0].flatten(1).T, q=3)
    flat = [torch.einsum("nchw,ck->nkhw", x, directions) for x in encodings]
    low, high = flat[0].amin((2, 3), keepdim=True), flat[0].amax((2, 3), keepdim=True)
    return [(x - low) / (high - low) for x in flat]
