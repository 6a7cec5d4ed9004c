"""One net for the style of any picture: it predicts the row of scales and shifts from the picture.

The row is for the trunk that paints many styles. After Ghiasi et al.: Exploring the Structure of a
Real-Time, Arbitrary Neural Artistic Stylization Network (BMVC 2017).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common.padding import padded, reflect_pad
from export.common.space_to_depth import space_to_depth
from export.families.many_style.model import CELL, ManyStyle, ManyStyleConfig

EPSILON = 1e-5
"""Added to variances, as a channel may have none."""


@dataclass(frozen=True)
class AnyPictureConfig(ManyStyleConfig):
    """Sizes of the trunk and of the net that predicts its rows."""

    encoder_width: int = 64
    """Channels of the style encoder's first layer; the last layers have twice as many."""
    hidden: int = 512
    """Width of the layers between a picture's statistics and its row."""


class AnyPicture(ManyStyle):
    """A net for many styles that also predicts a row from a picture.

    Pictures are RGB (N, 3, h, w) in 0..1, of any size from 16x16 up, whatever the size of the
    frames. Rows of named styles and rows of pictures can be mixed.
    """

    def __init__(self, config: AnyPictureConfig, styles: int = 0) -> None:
        super().__init__(config, styles)
        self.style_encoder = StyleEncoder(config.encoder_width)
        hidden, row = config.hidden, self.plain_row()
        self.base = nn.Parameter(row)
        """Row (R,) to which the predicted difference is added."""
        self.predictor = nn.Sequential(
            nn.LayerNorm(self.style_encoder.statistics),
            nn.Linear(self.style_encoder.statistics, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, len(row)),
        )
        last = self.predictor[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, 0, 0.01)
        nn.init.zeros_(last.bias)

    def rows_of(self, pictures: Tensor) -> Tensor:
        """Return the row of each picture, (N, R)."""
        return self.predict(self.style_encoder(pictures))

    def predict(self, statistics: Tensor) -> Tensor:
        """Return the rows (N, R) of pictures with the statistics (N, K)."""
        rows: Tensor = self.base + self.predictor(statistics)
        return rows


class StyleEncoder(nn.Module):
    """Maps pictures, RGB (N, 3, h, w) in 0..1, to statistics of their style, (N, K).

    They are the mean and standard deviation of each channel of several layers, and of the colors.
    The encoder begins with cells of 4x4 pixels, as the trunk does: statistics need no finer
    positions, only filters that see all pixels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        middle = (width + wide) // 2
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3 * CELL * CELL, width, 3),
                nn.Conv2d(width, middle, 3),
                nn.Conv2d(middle, wide, 3, stride=2),
                nn.Conv2d(wide, wide, 3),
                nn.Conv2d(wide, wide, 3, stride=2),
                nn.Conv2d(wide, wide, 3),
            ]
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.statistics = 2 * (3 + width + middle + 4 * wide)
        """Number of statistics, K."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures (N, 3, h, w) to statistics (N, K)."""
        found = [_mean_deviation(pictures)]
        cells = space_to_depth(reflect_pad(pictures, 0, CELL).permute(0, 2, 3, 1), CELL)
        x = 2 * cells.permute(0, 3, 1, 2) - 1
        for layer in self.layers:
            x = functional.relu(layer(padded(x, "replicate")))
            found.append(_mean_deviation(x))
        return torch.cat(found, dim=1)


def _mean_deviation(x: Tensor) -> Tensor:
    """Return the means and standard deviations of the channels: (N, C, H, W) to (N, 2 C)."""
    x = x.float()
    mean = x.mean(dim=(2, 3))
    variance = (x - mean[..., None, None]).square().mean(dim=(2, 3))
    return torch.cat([mean, (variance + EPSILON).sqrt()], dim=1)
