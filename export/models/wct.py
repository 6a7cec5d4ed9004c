"""Whitening and coloring transforms: Li et al., Universal Style Transfer via Feature Transforms
(NIPS 2017). An encoder that is a VGG up to a level, and for each level a decoder that is its mirror
image. What is done to the features in between is a matrix that the runtime makes
(engines/wct.py), of the statistics that the graph gives it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.loss_network import IMAGENET_MEAN, IMAGENET_STD, LossNetwork
from export.models.padding import reflect_pad
from export.models.pixels import to_pixels, to_unit

LEVELS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

COMPACT = (16, 32, 64, 128, 128)
"""Channels by block: a quarter of VGG-19's, so a sixteenth of its parameters, as in Collaborative
Distillation (Wang et al., CVPR 2020)."""

VGG19 = (2, 2, 4, 4, 1)
"""Convolutions by block, to conv5_1."""


def number(level: str) -> int:
    """1 for relu1_1 ... 5 for relu5_1."""
    return int(level[len("relu")])


def compact_encoder() -> LossNetwork:
    """VGG-19 to relu5_1 with the channels of COMPACT, to be trained.

    It pools by means: which of four places has the maximum changes with every small motion, and
    whitening makes flicker of that.
    """
    weights = {
        "conv0.weight": torch.diag(1 / IMAGENET_STD).reshape(3, 3, 1, 1),
        "conv0.bias": -IMAGENET_MEAN / IMAGENET_STD,
    }
    inputs = 3
    for block, (width, count) in enumerate(zip(COMPACT, VGG19, strict=True), start=1):
        for index in range(1, count + 1):
            weight = torch.empty(width, inputs, 3, 3)
            weights[f"conv{block}_{index}.weight"] = nn.init.kaiming_normal_(weight)
            weights[f"conv{block}_{index}.bias"] = torch.zeros(width)
            inputs = width
    encoder = LossNetwork(weights, LEVELS, padding="reflect", pool=functional.avg_pool2d)
    encoder.requires_grad_(True)
    encoder.convolutions["conv0"].requires_grad_(False)
    return encoder


class Decoder(nn.Module):
    """The mirror image of an encoder: features of `level`, (N, C, H / s, W / s), to RGB
    (N, 3, H, W), about 0..1, where s is 1 for relu1_1, 2 for relu2_1, ... 16 for relu5_1."""

    def __init__(self, encoder: LossNetwork, level: str) -> None:
        super().__init__()
        names = [name for name in encoder.convolutions if name != "conv0"]
        names = names[: names.index(level.replace("relu", "conv")) + 1]
        self.convolutions = nn.ModuleDict()
        for name in reversed(names):
            mirrored = encoder.convolutions[name].weight
            assert isinstance(mirrored, Tensor)
            convolution = nn.Conv2d(mirrored.shape[0], mirrored.shape[1], 3)
            # PyTorch's own would let a signal fade away in so many layers.
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            self.convolutions[name] = convolution
        last = self.convolutions["conv1_1"]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)  # grey, rather than colors at random
        nn.init.constant_(last.bias, 0.5)

    def forward(self, features: Tensor, until: str | None = None) -> Tensor:
        """With `until`, a shallower level, that level's features on the way to RGB."""
        x = features
        for name, convolution in self.convolutions.items():
            if until is not None and name == until.replace("relu", "conv"):
                break
            with torch.autocast(x.device.type, enabled=False):  # which would pad in float32, slowly
                x = functional.pad(x, (1, 1, 1, 1), "reflect")
            x = convolution(x)
            if name != "conv1_1":
                x = functional.relu(x)
            if name.endswith("_1") and name != "conv1_1":  # there the encoder has a pooling
                x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return x


class LevelGraph(nn.Module):
    """The transfer at one level, for R regions, usually one.

    uint8 frames (N, H, W, 3) to frames of the same shape and to the frames' own statistics by
    region: mean (R, C) and covariance (R, C, C) of the features of all N. `masks`, (R, h, w), of
    any size, say how much of each place is in each region. Features f become the sum over regions
    of mask * (transform @ (f - center) + shift), with center and shift (R, C).
    """

    def __init__(self, encoder: LossNetwork, decoder: Decoder, level: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.level = level
        self.channels = encoder.channels(level)
        # Twice the encoder's stride: a side of one feature could not be reflected.
        self.multiple = 2 ** number(level)

    def forward(
        self, frame: Tensor, transform: Tensor, center: Tensor, shift: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        height, width = frame.shape[1], frame.shape[2]
        rgb = to_unit(frame.permute(0, 3, 1, 2))
        x = self.encoder(reflect_pad(rgb, 0, self.multiple), (self.level,))[self.level]
        n, c, h, w = x.shape
        flat = x.reshape(n, 1, c, h * w)
        parts = functional.interpolate(masks[None], (h, w), mode="bilinear", align_corners=False)
        parts = parts.reshape(1, masks.shape[0], 1, h * w)
        mean, covariance = statistics(flat[:, 0], parts[0])
        colored = transform @ (flat - center[..., None]) + shift[..., None]
        colored = (colored * parts).sum(dim=1).reshape(n, c, h, w)
        painted = self.decoder(colored)[..., :height, :width]
        stylized = to_pixels(painted).permute(0, 2, 3, 1)
        return stylized, mean, covariance


def statistics(features: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Of features (N, C, P), by region: mean (R, C) and covariance (R, C, C), weighted by `parts`,
    (R, 1, P)."""
    # Around a mean that is near: half precision would lose the covariance in products of means.
    about = features.mean(dim=(0, 2), keepdim=True)
    x = (features - about)[:, None]
    weight = parts / (parts.sum(dim=2, keepdim=True) * features.shape[0]).clamp(min=1e-6)
    weighted = x * weight
    offset = weighted.sum(dim=(0, 3))
    second = (weighted @ x.transpose(2, 3)).sum(dim=0)
    return about[0, :, 0] + offset, second - offset[:, :, None] * offset[:, None, :]
