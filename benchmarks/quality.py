"""Measure how well styles are painted: by losses, by flicker, and by a sheet to look at.

The losses are those of Deng et al. (StyTr2, 2022), equations 9 and 10, table II, as the authors'
code computes them: mean squared differences; for the content, of features that are normalized in
each channel. A loss can't judge a network that was trained with the same loss network, and it can't
judge beauty: look at the sheet.

Usage: python -m benchmarks quality --photos PHOTOS --pictures PICTURES --sheet sheet.jpg STYLE...
"""

import argparse
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from benchmarks.warping import Motion, motions_of, read_frames, warping_error
from engines import DEFAULT_LEVELS, Engine
from export.common.engine_file import keep_measured
from export.common.evaluation import JUDGED_LAYERS, JUDGED_SIDE, content_loss, style_loss
from export.common.losses import LossConfig, PerceptualLoss
from export.common.vgg import LossNetwork, load_loss_network
from export.data.photos import list_photos, load_picture, to_image
from export.data.style_table import read_styles
from export.families import gatys
from streamstyle.frame import Image
from streamstyle.styles import StyleSpec, find_style, open_engine, parse_style, styles_beside

SECONDS = 1
"""Seconds that are painted of each clip."""

TILE = 320
"""Width of a picture on the sheet, in pixels."""


@dataclass(frozen=True)
class Measured:
    """The quality of a style."""

    content_loss: float
    style_loss: float
    warping_error: float | None
    """None without clips, and for optimization, which paints no clips."""

    def __str__(self) -> str:
        flicker = "" if self.warping_error is None else f"{self.warping_error:.5f}"
        return f"{self.content_loss:.3f} | {self.style_loss:.3f} | {flicker}"


class Judge:
    """Measures every style with the same photos, clips and loss network."""

    def __init__(self, network: LossNetwork, photos: list[Path], clips: list[Path]) -> None:
        self._network = network
        self._photos = [load_picture(path, JUDGED_SIDE) for path in photos]
        self._contents = [
            network(photo, JUDGED_LAYERS[-1:])[JUDGED_LAYERS[-1]] for photo in self._photos
        ]
        videos = [read_frames(clip, SECONDS) for clip in clips]
        self._videos = [(video, motions_of(video)) for video in videos]

    def __call__(self, engine: Engine, picture: Path) -> tuple[Measured, Image]:
        """Return the quality of a style, and its column of the sheet."""
        painted = [_painted(engine, photo) for photo in self._photos]
        flicker = [_flicker(engine, *video) for video in self._videos]
        return self._judged(painted, picture, float(np.mean(flicker)) if flicker else None)

    def by_optimisation(self, picture: Path, steps: int) -> tuple[Measured, Image]:
        """Do the same for Gatys' method, with the losses that the networks are trained with."""
        config = LossConfig(style_layers=JUDGED_LAYERS)
        loss = PerceptualLoss(config, self._network)
        style = loss.statistics(load_picture(picture, JUDGED_SIDE))
        painted = [gatys.optimized(photo, style, loss, steps) for photo in self._photos]
        return self._judged(painted, picture, None)

    def _judged(
        self, painted: list[Tensor], picture: Path, flicker: float | None
    ) -> tuple[Measured, Image]:
        wanted = self._network(load_picture(picture, JUDGED_SIDE))
        losses = []
        for paint, content in zip(painted, self._contents, strict=True):
            features = self._network(paint)
            losses.append(
                (content_loss(features[JUDGED_LAYERS[-1]], content), style_loss(features, wanted))
            )
        of_content, of_style = np.mean(losses, axis=0)
        measured = Measured(float(of_content), float(of_style), flicker)
        return measured, np.vstack([_tile(paint) for paint in painted])


def main() -> None:
    """Print a Markdown table with a row for each style, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "styles",
        nargs="+",
        metavar="STYLE",
        help="as for --style, or a picture; a model alone stands for all its styles",
    )
    parser.add_argument("--levels", type=lambda t: tuple(t.split(",")), default=DEFAULT_LEVELS)
    parser.add_argument("--alpha", type=float, default=1.0, help="for pictures as styles")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the style pictures")
    parser.add_argument("--table", type=Path, default=Path("export/sixteen.csv"))
    parser.add_argument("--network", default="vgg19", help="vgg16, vgg19 or a safetensors file")
    parser.add_argument(
        "--gatys", type=int, metavar="STEPS", help="also paint by optimization, which is slow"
    )
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="for the warping error")
    parser.add_argument("--sheet", type=Path, help="picture to write: photos down, styles across")
    parser.add_argument("--keep", action="store_true", help="write the figures into the models")
    options = parser.parse_args()
    network = load_loss_network(options.network, JUDGED_LAYERS)
    photos = list_photos(options.photos)
    judge = Judge(network, photos, options.clips)
    pictures = {s.name: Path(s.picture) for s in read_styles(options.table, options.pictures)}
    about = {
        "photos": len(photos),
        "loss_network": f"{Path(options.network).stem}, {JUDGED_LAYERS[0]} to {JUDGED_LAYERS[-1]}",
        "clips": [clip.stem for clip in options.clips],
    }
    print("; ".join(f"{key} {value}" for key, value in about.items()))
    print("\n| style | content loss | style loss | warping error |\n|---|---|---|---|")
    columns = []
    figures: dict[Path, dict[str, Measured]] = {}
    for style in _all(options.styles):
        (part,) = style.parts
        picture = Path(part.picture)
        name = picture.stem
        if not part.picture:
            card, number = find_style(part)
            name = card.styles[number].name
            if name not in pictures:
                parser.error(f"the picture of {name} is not in {options.table}")
            picture = pictures[name]
        style = replace(style, levels=options.levels, alpha=options.alpha)
        with open_engine(style) as engine:
            card = engine.card
            measured, column = judge(engine, picture)
        print(f"| {style} | {measured} |", flush=True)
        columns.append(column)
        figures.setdefault(card.path, {})[name] = measured
        if options.gatys is not None:
            measured, column = judge.by_optimisation(picture, options.gatys)
            print(f"| Gatys, {name} | {measured} |", flush=True)
            columns.append(column)
    if options.sheet is not None:
        Pillow.fromarray(np.hstack(columns)).save(options.sheet)
    if options.keep:
        for path, of_styles in figures.items():
            styles = {name: asdict(measured) for name, measured in of_styles.items()}
            keep_measured(path, {**about, "styles": styles})


def _all(texts: list[str]) -> list[StyleSpec]:
    """Parse the styles; replace a model without a style by all its styles."""
    styles = [parse_style(text) for text in texts]
    of_models = [not (s.parts[0].picture or s.parts[0].name) for s in styles]
    found = [styles_beside(s)[0] if m else [s] for s, m in zip(styles, of_models, strict=True)]
    return list(chain.from_iterable(found))


def _flicker(engine: Engine, frames: list[Image], motions: list[Motion]) -> float:
    engine.reset_state()
    return warping_error([engine.paint(frame[np.newaxis])[0] for frame in frames], motions)


def _painted(engine: Engine, photo: Tensor) -> Tensor:
    frame = (photo * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    engine.reset_state()
    return torch.from_numpy(engine.paint(frame)).permute(0, 3, 1, 2).float() / 255


def _tile(painted: Tensor) -> Image:
    height = round(TILE * painted.shape[2] / painted.shape[3])
    return np.asarray(to_image(painted[0]).resize((TILE, height), Pillow.Resampling.LANCZOS))
