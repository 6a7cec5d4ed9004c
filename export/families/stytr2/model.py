"""StyTr2: Image Style Transfer with Transformers (Deng et al., CVPR 2022), for any picture's style.

Layers and norms are as in the authors' code, without its dropout. This net works at every size and
shape; theirs takes squares only and interpolates its encoding to the grid of the style.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common.padding import reflect_pad
from export.errors import ExportError

PATCH = 8
"""Side of a patch in pixels: the decoder's three upsamplings make a patch of one position."""

POOLED = 18
"""Side of the grid to which the encoding pools a picture of any size (equation 3)."""

FIRST_CONTRAST = 0.3
"""Approximate standard deviation of an untrained net's colors.

The training would have to undo a larger one.
"""


@dataclass(frozen=True)
class StyTr2Config:
    """Sizes of the net; the defaults are the published net.

    `compact()` is made for real time on a CPU.
    """

    width: int = 512
    """Numbers that represent a patch."""
    heads: int = 8
    feed_forward: int = 2048
    content_encoder_layers: int = 3
    style_encoder_layers: int = 3
    decoder_layers: int = 3
    decoder_width: int = 256
    """Channels of the CNN decoder at an eighth and a quarter of the resolution.

    At half and full resolution it has a half and a quarter of them.
    """
    encoding: Literal["cape", "sinusoidal"] = "cape"
    """How a patch of the content knows its position.

    "cape" derives it from the content; "sinusoidal" takes sines of row and column, with which the
    paper compares.
    """

    @classmethod
    def compact(cls) -> "StyTr2Config":
        """Return a smaller net for real time on a CPU."""
        return cls(
            width=256,
            heads=4,
            feed_forward=512,
            content_encoder_layers=2,
            style_encoder_layers=2,
            decoder_layers=2,
            decoder_width=64,
        )


class StyTr2(nn.Module):
    """Maps content and style, RGB (N, 3, H, W) in 0..1, to RGB of the content's size, about 0..1.

    Content and style each have any size from 16x16 up. The output is clamped only when it becomes a
    frame. Raises ExportError if the heads do not divide the width.

    The net has two halves: `style_of` runs once for a picture, `paint` for each frame. A frame of P
    patches needs an attention matrix of heads x P x P numbers in each layer of the content encoder,
    and two of heads x P x S, for S patches of style, in each layer of the decoder. With 8 heads in
    float32, the first takes 0.7 GB at 640x480 (P 4800) and 34 GB at 1920x1080 (P 32400), where one
    of the others, with a style of 256x256 (S 1024), takes 1.1 GB. OpenVINO on a CPU never stores
    these matrices, and takes 60 MB for a frame of 640x480 in the compact net; onnxruntime stores
    them. In any case, the time grows with P squared: half the side takes a sixteenth. So engines
    paint frames of more than 640x480 at a smaller size and enlarge the result.
    """

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ExportError(
                f"--width {config.width} must be a multiple of --heads {config.heads}"
            )
        self.config = config
        self.embedding = nn.Conv2d(3, config.width, PATCH, stride=PATCH)
        self.encoding = nn.Conv2d(config.width, config.width, 1)
        self.content_encoder = nn.ModuleList(
            _EncoderLayer(config) for _ in range(config.content_encoder_layers)
        )
        self.style_encoder = nn.ModuleList(
            _EncoderLayer(config) for _ in range(config.style_encoder_layers)
        )
        self.decoder = nn.ModuleList(_DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.to_rgb = _cnn_decoder(config)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        return self.paint(content, *self.style_of(style))

    def style_of(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of a picture of S patches, all that painting needs of it.

        Each is (N, A, heads, S, width / heads), for A attentions, two in each layer of the decoder.
        """
        x = _sequence(self._embedded(picture))
        for layer in self.style_encoder:
            x = layer(x)
        attentions = [m for m in self.decoder.modules() if isinstance(m, _Attention)]
        keys = torch.stack([a.split(a.key(x)) for a in attentions], dim=1)
        values = torch.stack([a.split(a.value(x)) for a in attentions], dim=1)
        return keys, values

    def paint(self, frame: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Paint in the style that `style_of` returned, one for each frame or one for all."""
        painted = self.decode(*self.content_of(frame), keys, values)
        return painted[..., : frame.shape[-2], : frame.shape[-1]]

    def content_of(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the decoder needs of a frame: encoded patches and their position encoding.

        For a frame of H x W patches, both are (N, width, H, W).
        """
        embedded = self._embedded(frame)
        if self.config.encoding == "cape":
            position = self.content_aware_encoding(embedded)
        else:
            position = sinusoidal_encoding(embedded).expand_as(embedded)
        x, where = _sequence(embedded), _sequence(position)
        for layer in self.content_encoder:
            x = layer(x, where)
        return _picture(x, embedded), position

    def decode(self, content: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return RGB for `content_of` a frame in the style of `style_of` a picture.

        It has the size of whole patches.
        """
        x, where = _sequence(content), _sequence(position)
        for number, layer in enumerate(self.decoder):
            each = slice(2 * number, 2 * number + 2)
            x = layer(x, where, keys[:, each], values[:, each])
        rgb: Tensor = 0.5 + self.to_rgb(_picture(self.norm(x), content))
        return rgb

    def content_aware_encoding(self, embedded: Tensor) -> Tensor:
        """Compute equation 3, CAPE, which looks alike at every resolution.

        The patches are pooled to 18x18, pass a 1x1 convolution, and are interpolated to their own
        grid.
        """
        height, width = embedded.shape[-2], embedded.shape[-1]
        x = pooling_matrix(height, embedded) @ embedded @ pooling_matrix(width, embedded).T
        x = self.encoding(x)
        encoded: Tensor = (
            interpolation_matrix(height, embedded) @ x @ interpolation_matrix(width, embedded).T
        )
        return encoded

    def _embedded(self, rgb: Tensor) -> Tensor:
        """Return the patches, (N, width, H, W); reflection fills the last row and column."""
        embedded: Tensor = self.embedding(reflect_pad(2 * rgb - 1, 0, PATCH))
        return embedded


def pooling_matrix(size: int, like: Tensor) -> Tensor:
    """Return a matrix (18, size) that pools a column as `adaptive_avg_pool2d` does.

    ONNX has no operator for that where 18 does not divide the size. `like` gives the device.
    """
    place = torch.arange(POOLED, device=like.device)[:, None]
    first = place * size // POOLED
    behind = ((place + 1) * size + POOLED - 1) // POOLED
    index = torch.arange(size, device=like.device)
    inside = ((index >= first) & (index < behind)).float()
    return inside / inside.sum(dim=1, keepdim=True)


def interpolation_matrix(size: int, like: Tensor) -> Tensor:
    """Return a matrix (size, 18) that interpolates a column as bilinear `interpolate` does."""
    index = torch.arange(size, device=like.device)[:, None].float()
    source = ((index + 0.5) * (POOLED / size) - 0.5).clamp(0, POOLED - 1)
    place = torch.arange(POOLED, device=like.device)
    return (1 - (source - place).abs()).clamp(min=0)


def sinusoidal_encoding(embedded: Tensor) -> Tensor:
    """Return sines and cosines of each patch's row and column, (1, C, H, W).

    Half of the channels encode the row, half the column, with the wavelengths of Attention Is All
    You Need.
    """
    channels, height, width = embedded.shape[1], embedded.shape[-2], embedded.shape[-1]
    exponent = torch.arange(0, channels // 2, 2, device=embedded.device) / (channels // 2)
    frequency = (10000.0**-exponent)[:, None]
    rows = frequency * torch.arange(height, device=embedded.device)
    columns = frequency * torch.arange(width, device=embedded.device)
    down = torch.cat([rows.sin(), rows.cos()])[:, :, None].expand(-1, -1, width)
    across = torch.cat([columns.sin(), columns.cos()])[:, None, :].expand(-1, height, -1)
    return torch.cat([down, across])[None]


class _Attention(nn.Module):
    """Multi-head attention, equations 4 and 5: softmax of queries times keys, times values."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.query, self.key, self.value, self.out = (_linear(config.width) for _ in range(4))

    def split(self, x: Tensor) -> Tensor:
        """Split (N, L, width) into heads, (N, heads, L, width / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend with `x`, (N, L, width), to keys and values that are split into heads."""
        queries = self.split(self.query(x))
        keys, values = (y.expand(queries.shape[0], -1, -1, -1) for y in (keys, values))
        y = functional.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return attended


class _FeedForward(nn.Sequential):
    """Feed-forward net, equation 6: max(0, x W1 + b1) W2 + b2."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__(
            _linear(config.width, config.feed_forward),
            nn.ReLU(),
            _linear(config.feed_forward, config.width),
        )


class _EncoderLayer(nn.Module):
    """Layer of either encoder: self-attention of a sequence, then the feed-forward net."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.feed_forward = _FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))

    def forward(self, x: Tensor, position: Tensor | None = None) -> Tensor:
        """Encode `x`; `position` is added to the queries and keys, but not to the values."""
        placed = x if position is None else x + position
        attention = self.attention
        keys, values = (attention.split(y) for y in (attention.key(placed), attention.value(x)))
        x = self.norms[0](x + attention(placed, keys, values))
        encoded: Tensor = self.norms[1](x + self.feed_forward(x))
        return encoded


class _DecoderLayer(nn.Module):
    """Layer of the decoder, equations 7 and 8: two attentions to the style, then feed-forward.

    The content never attends to itself here.
    """

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.first = _Attention(config)
        self.second = _Attention(config)
        self.feed_forward = _FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3))

    def forward(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Decode `x` in the style of `keys` and `values`.

        Both are (N, 2, heads, S, width / heads), for the two attentions.
        """
        x = self.norms[0](x + self.first(x + position, keys[:, 0], values[:, 0]))
        x = self.norms[1](x + self.second(x + position, keys[:, 1], values[:, 1]))
        decoded: Tensor = self.norms[2](x + self.feed_forward(x))
        return decoded


class _Convolution(nn.Module):
    """A 3x3 convolution with reflected borders."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3)
        # PyTorch's default weights weaken the signal from layer to layer: after 400 steps such a
        # net still painted one color.
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # autocast would pad in float32, slowly
            x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        result: Tensor = self.convolution(x)
        return result


def _cnn_decoder(config: StyTr2Config) -> nn.Sequential:
    """Build the CNN decoder: three times convolutions and an upsampling by two, then RGB.

    Each size has as many convolutions as in the authors' code.
    """
    w = config.decoder_width
    layers: list[nn.Module] = []
    for channels in (
        (config.width, w),
        (w, w, w, w, w // 2),
        (w // 2, w // 2, w // 4),
    ):
        for inputs, outputs in pairwise(channels):
            layers += [_Convolution(inputs, outputs), nn.ReLU()]
        layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
    last = _Convolution(w // 4, 3)
    with torch.no_grad():
        last.convolution.weight *= FIRST_CONTRAST
    layers += [_Convolution(w // 4, w // 4), nn.ReLU(), last]
    return nn.Sequential(*layers)


def _linear(inputs: int, outputs: int | None = None) -> nn.Linear:
    linear = nn.Linear(inputs, outputs or inputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _sequence(x: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to (N, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def _picture(x: Tensor, like: Tensor) -> Tensor:
    """Reshape (N, H * W, C) to (N, C, H, W), with H and W of `like`."""
    return x.transpose(1, 2).reshape(x.shape[0], -1, like.shape[-2], like.shape[-1])
