"""Repeat the table of Johnson et al. (2016), section 4.1: a network compared with optimization.

One pass of the network is compared with 100, 300 and 500 iterations of Gatys' method on the same
picture. An iteration evaluates the loss and its gradient, as in the paper. A few iterations are
timed and their median is multiplied, because all iterations cost the same.

Usage: python -m benchmarks johnson PHOTO PICTURE
"""

import argparse
from pathlib import Path
from statistics import median

import numpy as np
import torch

from export.common.losses import LossConfig, PerceptualLoss
from export.common.vgg import LossNetwork, load_loss_network
from export.data.photos import load_picture
from export.families import gatys
from streamstyle import system
from streamstyle.cli.bench import Contestant, race
from streamstyle.cli.options import add_style, style_asked_for
from streamstyle.image_ops import resized
from streamstyle.sources.images import read_still
from streamstyle.styles import CLASSIC_STYLE, engine_label, open_engine
from streamstyle.timing import now_s

ITERATIONS = (100, 300, 500)

PUBLISHED = {
    256: "15 ms: 212, 636, 1060 x",
    512: "50 ms: 205, 615, 1026 x",
    1024: "210 ms: 208, 625, 1042 x",
}
"""Table 1 of the paper, measured on a GTX Titan X."""


def main() -> None:
    """Print a Markdown table with a row for each side of a square picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("picture", type=Path, help="whose style the optimization paints in")
    add_style(parser, CLASSIC_STYLE)
    parser.add_argument("--network", default="vgg16", help="vgg16, vgg19 or a safetensors file")
    parser.add_argument("--iterations", type=int, default=5, help="iterations to time at each size")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds to paint at each size")
    options = parser.parse_args()
    style = style_asked_for(options, CLASSIC_STYLE)
    config = LossConfig()
    network = load_loss_network(options.network, (*config.content_layers, *config.style_layers))
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    image = read_still(options.photo).image
    with open_engine(style) as engine:
        print(f"{system.hardware()}\n{system.packages()}, torch {torch.__version__}")
        print(
            f"{style} by {engine_label(engine)}; optimization with {Path(options.network).stem}\n"
        )
        print("| side | net, ms | iteration, ms | ", end="")
        print(" | ".join(f"beside {count}" for count in ITERATIONS), "| published |")
        print("|---" * (4 + len(ITERATIONS)) + "|")
        for side, published in PUBLISHED.items():
            net = Contestant(str(style), engine.paint)
            race([net], [resized(image, side, side)[np.newaxis]], options.seconds)
            (ms,) = net.milliseconds(50)
            iteration_ms = _iteration_ms(options, network, config, side)
            ratios = " | ".join(f"{count * iteration_ms / ms:.0f} x" for count in ITERATIONS)
            print(
                f"| {side} | {ms:.0f} | {iteration_ms:.0f} | {ratios} | {published} |", flush=True
            )


def _iteration_ms(
    options: argparse.Namespace, network: LossNetwork, config: LossConfig, side: int
) -> float:
    device = next(network.parameters()).device
    photo, picture = (
        torch.nn.functional.interpolate(load_picture(path, side), (side, side)).to(device)
        for path in (options.photo, options.picture)
    )
    loss = PerceptualLoss(config, network)
    style = loss.statistics(picture)
    done_s = [now_s()]
    steps = options.iterations + 1
    gatys.optimized(photo, style, loss, steps, lambda _loss: done_s.append(now_s()))
    return 1000 * median(np.diff(done_s[1:]).tolist())  # the first iteration is slower
