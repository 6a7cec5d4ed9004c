"""StyTr2: Image Style Transfer with Transformers (Deng et al., CVPR 2022), for any picture's style.

Layers and their norms are as in the authors' code, without its dropout. It works at every size and
shape, where theirs takes squares only and interpolates its encoding to the grid of the style.
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
"""Pixels of a patch's side: what the three upsamplings of the decoder make of one place."""

POOLED = 18
"""Places of a side that the encoding knows, whatever the size of the picture (equation 3)."""

FIRST_CONTRAST = 0.3
"""Standard deviation, about, of an untrained net's colors; more would have to be unlearned."""


@dataclass(frozen=True)
class StyTr2Config:
    """The defaults are the published net; `compact()` is made for real time on a CPU."""

    width: int = 512
    """Numbers that stand for a patch."""
    heads: int = 8
    feed_forward: int = 2048
    content_encoder_layers: int = 3
    style_encoder_layers: int = 3
    decoder_layers: int = 3
    decoder_width: int = 256
    """Channels of the CNN decoder at an eighth and a quarter of the resolution; a half and a
    quarter of them follow."""
    encoding: Literal["cape", "sinusoidal"] = "cape"
    """How a patch of the content knows where it lies: by what is there, or the sines of its row
    and column that the paper compares with."""

    @classmethod
    def compact(cls) -> "StyTr2Config":
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
    """Content and style, RGB (N, 3, H, W), 0..1, each of a size of its own from 16x16 up, to RGB of
    the content's size, about 0..1: it is clamped where a frame is made of it.

    It has two halves: `style_of` a picture is needed once, `paint` for each frame. A frame of P
    patches costs an attention matrix of heads x P x P numbers in each layer of the content's
    encoder, and two of heads x P x S, for S patches of style, in each of the decoder. With 8 heads
    the first is 0.7 GB in float32 at 640x480, where P is 4800; at 1920x1080 (P 32400) it is 34 GB,
    and one of the others, with a style of 256x256 (S 1024), 1.1 GB. OpenVINO on a CPU never writes
    them out, and takes 60 MB for a frame of 640x480 in the compact net; onnxruntime does. The time
    grows with P squared in any case: half the side is a sixteenth. So engines paint frames of more
    than 640x480 smaller, and enlarge them.
    """

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ExportError(f"a width of {config.width} is not for {config.heads} heads")
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
        """Keys and values, (N, A, heads, S, width / heads) each, for A attentions, two in each
        layer of the decoder: all that painting needs of a picture of S patches.
        """
        x = _sequence(self._embedded(picture))
        for layer in self.style_encoder:
            x = layer(x)
        attentions = [m for m in self.decoder.modules() if isinstance(m, _Attention)]
        keys = torch.stack([a.split(a.key(x)) for a in attentions], dim=1)
        values = torch.stack([a.split(a.value(x)) for a in attentions], dim=1)
        return keys, values

    def paint(self, frame: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """In the style of `style_of`, either one for each frame or one for all."""
        painted = self.decode(*self.content_of(frame), keys, values)
        return painted[..., : frame.shape[-2], : frame.shape[-1]]

    def content_of(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder needs of a frame of H x W patches: its encoded patches, and the encoding
        of where they lie, (N, width, H, W) both.
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
        """RGB of `content_of` a frame in the style of `style_of` a picture; of the size of whole
        patches.
        """
        x, where = _sequence(content), _sequence(position)
        for number, layer in enumerate(self.decoder):
            each = slice(2 * number, 2 * number + 2)
            x = layer(x, where, keys[:, each], values[:, each])
        rgb: Tensor = 0.5 + self.to_rgb(_picture(self.norm(x), content))
        return rgb

    def content_aware_encoding(self, embedded: Tensor) -> Tensor:
        """Equation 3, CAPE: pooled to 18x18, a 1x1 convolution, and interpolated to the grid of the
        patches, so that it looks alike at every resolution.
        """
        height, width = embedded.shape[-2], embedded.shape[-1]
        x = pooling_matrix(height, embedded) @ embedded @ pooling_matrix(width, embedded).T
        x = self.encoding(x)
        encoded: Tensor = (
            interpolation_matrix(height, embedded) @ x @ interpolation_matrix(width, embedded).T
        )
        return encoded

    def _embedded(self, rgb: Tensor) -> Tensor:
        """(N, width, H, W) patches, the last ones of each direction continued by reflection."""
        embedded: Tensor = self.embedding(reflect_pad(2 * rgb - 1, 0, PATCH))
        return embedded


def pooling_matrix(size: int, like: Tensor) -> Tensor:
    """(18, size), by which a column is pooled as by `adaptive_avg_pool2d`: ONNX has no operator for
    it where 18 does not divide the size. `like` says on which device.
    """
    place = torch.arange(POOLED, device=like.device)[:, None]
    first = place * size // POOLED
    behind = ((place + 1) * size + POOLED - 1) // POOLED
    index = torch.arange(size, device=like.device)
    inside = ((index >= first) & (index < behind)).float()
    return inside / inside.sum(dim=1, keepdim=True)


def interpolation_matrix(size: int, like: Tensor) -> Tensor:
    """(size, 18), by which a column of 18 is interpolated as by `interpolate`'s bilinear mode."""
    index = torch.arange(size, device=like.device)[:, None].float()
    source = ((index + 0.5) * (POOLED / size) - 0.5).clamp(0, POOLED - 1)
    place = torch.arange(POOLED, device=like.device)
    return (1 - (source - place).abs()).clamp(min=0)


def sinusoidal_encoding(embedded: Tensor) -> Tensor:
    """(1, C, H, W): sines and cosines of the row in one half of the channels, of the column in the
    other, with the wavelengths of Attention Is All You Need.
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
    """Equations 4 and 5: several heads, each the softmax of queries times keys, times values."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.query, self.key, self.value, self.out = (_linear(config.width) for _ in range(4))

    def split(self, x: Tensor) -> Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`x`, (N, L, width), onto keys and values that are split already."""
        queries = self.split(self.query(x))
        keys, values = (y.expand(queries.shape[0], -1, -1, -1) for y in (keys, values))
        y = functional.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return attended


class _FeedForward(nn.Sequential):
    """Equation 6: max(0, x W1 + b1) W2 + b2."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__(
            _linear(config.width, config.feed_forward),
            nn.ReLU(),
            _linear(config.feed_forward, config.width),
        )


class _EncoderLayer(nn.Module):
    """A layer of either encoder: attention of a sequence onto itself, then the feed-forward net."""

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.feed_forward = _FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))

    def forward(self, x: Tensor, position: Tensor | None = None) -> Tensor:
        """`position` is added where patches look for each other, not to what they then take."""
        placed = x if position is None else x + position
        attention = self.attention
        keys, values = (attention.split(y) for y in (attention.key(placed), attention.value(x)))
        x = self.norms[0](x + attention(placed, keys, values))
        encoded: Tensor = self.norms[1](x + self.feed_forward(x))
        return encoded


class _DecoderLayer(nn.Module):
    """Equations 7 and 8: two attentions of the content onto the style, then the feed-forward net;
    the content never attends to itself here.
    """

    def __init__(self, config: StyTr2Config) -> None:
        super().__init__()
        self.first = _Attention(config)
        self.second = _Attention(config)
        self.feed_forward = _FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3))

    def forward(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`keys` and `values` are those of both attentions, (N, 2, heads, S, width / heads)."""
        x = self.norms[0](x + self.first(x + position, keys[:, 0], values[:, 0]))
        x = self.norms[1](x + self.second(x + position, keys[:, 1], values[:, 1]))
        decoded: Tensor = self.norms[2](x + self.feed_forward(x))
        return decoded


class _Convolution(nn.Module):
    """3x3, at reflected borders."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3)
        # PyTorch's own begin would take the signal away from layer to layer: after 400 steps such
        # a net still painted one color.
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would pad in float32, slowly
            x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        result: Tensor = self.convolution(x)
        return result


def _cnn_decoder(config: StyTr2Config) -> nn.Sequential:
    """Three times convolutions and twice the size, as many at each size as in the authors' code."""
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
    """(N, C, H, W) to (N, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def _picture(x: Tensor, like: Tensor) -> Tensor:
    """(N, H * W, C) to (N, C, H, W), the shape of `like`."""
    return x.transpose(1, 2).reshape(x.shape[0], -1, like.shape[-2], like.shape[-1])
