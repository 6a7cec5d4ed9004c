"""Whitening and coloring transforms: an encoder and a decoder for each level of a VGG.

After Li et al.: Universal Style Transfer via Feature Transforms (NIPS 2017). Between encoder and
decoder, a matrix transforms the features. The runtime computes it (engines/wct/transform.py) from
the statistics that the graph returns.
"""

from torch import Tensor, nn
from torch.nn import functional

from export.common.padding import padded, reflect_pad
from export.common.pixels import to_pixels, to_unit
from export.common.space_to_depth import depth_to_space, space_to_depth
from export.common.vgg import LossNetwork

LEVELS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def number(level: str) -> int:
    """Return the number of a level: 1 for relu1_1 ... 5 for relu5_1."""
    return int(level[len("relu")])


class Autoencoder(nn.Module):
    """The net of one level: an encoder to its features and a decoder back.

    Both work on cells of `side` x `side` pixels (export/common/space_to_depth.py), RGB of about
    0..1.
    """

    level: str
    side: int
    channels: int
    """Number of channels of the features, C."""

    def encode(self, cells: Tensor) -> Tensor:
        """Encode cells with channels last, (N, H / side, W / side, side * side * 3).

        Returns features (N, C, H / s, W / s), where s is 1 for relu1_1, 2 for relu2_1, ... 16 for
        relu5_1.
        """
        raise NotImplementedError

    def decode(self, features: Tensor) -> Tensor:
        """Decode features to cells, channels first, (N, side * side * 3, H / side, W / side)."""
        raise NotImplementedError

    def features(self, rgb: Tensor) -> Tensor:
        """Return the features of pictures (N, 3, H, W).

        H and W must be multiples of the stride s, which `encode` explains.
        """
        return self.encode(space_to_depth(rgb.permute(0, 2, 3, 1), self.side))

    def picture(self, features: Tensor) -> Tensor:
        """Return the pictures (N, 3, H, W) that the features decode to."""
        return depth_to_space(self.decode(features), self.side).permute(0, 3, 1, 2)


class Decoder(nn.Module):
    """The mirror image of an encoder: features of `level` to RGB (N, 3, H, W), about 0..1.

    Features are (N, C, H / s, W / s), where s is 1 for relu1_1, 2 for relu2_1, ... 16 for relu5_1.
    """

    def __init__(self, encoder: LossNetwork, level: str) -> None:
        super().__init__()
        names = [name for name in encoder.convolutions if name != "conv0"]
        names = names[: names.index(level.replace("relu", "conv")) + 1]
        self.convolutions = nn.ModuleDict()
        for name in reversed(names):
            mirrored = encoder.convolutions[name].weight
            assert isinstance(mirrored, Tensor)
            convolution = nn.Conv2d(mirrored.shape[0], mirrored.shape[1], 3)
            # PyTorch's default weights would let the signal fade in so many layers.
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            self.convolutions[name] = convolution
        last = self.convolutions["conv1_1"]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)  # start with gray, not with random colors
        nn.init.constant_(last.bias, 0.5)

    def forward(self, features: Tensor, until: str | None = None) -> Tensor:
        """Decode to RGB or, if `until` is given, only to the features of that shallower level."""
        x = features
        for name, convolution in self.convolutions.items():
            if until is not None and name == until.replace("relu", "conv"):
                break
            x = convolution(padded(x, "reflect"))
            if name != "conv1_1":
                x = functional.relu(x)
            if name.endswith("_1") and name != "conv1_1":  # where the encoder pools
                x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return x


class VggAutoencoder(Autoencoder):
    """The published net: a VGG up to a level, which all levels can share, and its mirror image."""

    side = 1

    def __init__(self, encoder: LossNetwork, level: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(encoder, level)
        self.level = level
        self.channels = encoder.channels(level)

    def encode(self, cells: Tensor) -> Tensor:
        features: Tensor = self.encoder(cells.permute(0, 3, 1, 2), (self.level,))[self.level]
        return features

    def decode(self, features: Tensor) -> Tensor:
        cells: Tensor = self.decoder(features)
        return cells


class LevelGraph(nn.Module):
    """The transfer at one level, for R regions, usually one.

    It maps uint8 frames (N, H, W, 3) to frames of the same shape and to the statistics of the
    frames' own features by region: mean (R, C) and covariance (R, C, C) over all N. `masks`,
    (R, h, w) of any size, say how much of each position is in each region. Features f become the
    sum over regions of mask * (transform @ (f - center) + shift), with transform (R, C, C), center
    (R, C) and shift (R, C).
    """

    def __init__(self, net: Autoencoder) -> None:
        super().__init__()
        self.net = net
        # Twice the features' stride: a side of a single feature could not be reflected.
        self.multiple = 2 ** number(net.level)
        # Stride of the positions that statistics use: a quarter of the resolution is enough.
        self.stride = max(1, 8 // self.multiple)

    def forward(
        self, frame: Tensor, transform: Tensor, center: Tensor, shift: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        height, width = frame.shape[1], frame.shape[2]
        whole = reflect_pad(frame.permute(0, 3, 1, 2), 0, self.multiple).permute(0, 2, 3, 1)
        features = self.net.encode(to_unit(space_to_depth(whole, self.net.side)))
        size = (features.shape[2], features.shape[3])
        masks = functional.interpolate(masks[None], size, mode="bilinear", align_corners=False)
        step = self.stride
        mean, covariance = statistics(
            features[:, :, ::step, ::step].permute(0, 2, 3, 1).flatten(1, 2),
            masks[0, :, ::step, ::step].flatten(1),
        )
        # One matrix product for all regions.
        masks = masks.permute(0, 2, 3, 1)
        parts = features.permute(0, 2, 3, 1)[:, :, :, None] - center
        parts = (masks[..., None] * parts).flatten(3)
        colored = parts @ transform.transpose(1, 2).flatten(0, 1) + masks @ shift
        # Cells become pixels while they are bytes, which moves less data.
        decoded = self.net.decode(colored.permute(0, 3, 1, 2))
        painted = depth_to_space(to_pixels(decoded), self.net.side)
        return painted[:, :height, :width], mean, covariance


def statistics(features: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (R, C) and covariance (R, C, C) of features (N, P, C) by region.

    `parts`, (R, P), are the weights of the positions.
    """
    weight = parts / (parts.sum(dim=1, keepdim=True) * features.shape[0]).clamp(min=1e-6)
    # Centered around an approximate mean: in half precision, products of the means would swamp the
    # covariance. The means are matrix products too: OpenVINO computes in float32 whatever leads to
    # an output without a matrix product, and that would be all the features.
    about = (weight @ features).sum(dim=0).mean(dim=0)
    x = features - about
    offset = (weight @ x).sum(dim=0)
    weighted = weight[:, None, :, None] * x  # (R, N, P, C)
    second = (weighted.transpose(2, 3) @ x).sum(dim=1)
    return about + offset, second - offset[:, :, None] * offset[:, None, :]
