"""VGG loss networks: the features in which content and style are measured."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from export.errors import ExportError

TORCHVISION = ("vgg16", "vgg19")

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])


class LossNetwork(nn.Module):
    """A frozen VGG that maps RGB (N, 3, H, W) in 0..1 to {"relu1_1": (N, C, H, W), ...}.

    The weights are named conv0 (the 1x1 convolution that normalizes RGB), conv1_1, conv1_2, ...
    Blocks are separated by 2x2 max pooling. Only the convolutions that `layers` need are kept and
    computed.
    """

    def __init__(
        self, weights: dict[str, Tensor], layers: Sequence[str] | None, padding: str
    ) -> None:
        """Build the network for `layers`, or for all layers in `weights` if None.

        `padding` is "reflect" or "constant" (zeros), as in the training of the weights. Raises
        ExportError if `weights` lack one of the layers.
        """
        super().__init__()
        known = [name.removesuffix(".weight") for name in weights if _is_layer(name)]
        available = ["relu" + name.removeprefix("conv") for name in sorted(known)]
        layers = available if layers is None else layers
        unknown = [layer for layer in layers if layer not in available]
        if unknown:
            raise ExportError(
                f"this loss network has no layer {', '.join(unknown)}; "
                f"it has {', '.join(available)}"
            )
        self.layers = tuple(layers)
        self.padding = padding
        deepest = max(available.index(layer) for layer in layers)
        self.convolutions = nn.ModuleDict()
        for name in ["conv0", *sorted(known)[: deepest + 1]]:
            weight = weights[f"{name}.weight"]
            convolution = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[-1])
            convolution.load_state_dict({"weight": weight, "bias": weights[f"{name}.bias"]})
            self.convolutions[name] = convolution
        self.requires_grad_(False)

    def channels(self, layer: str) -> int:
        """Return the number of channels C of the features at `layer`."""
        return int(self.state_dict()[f"convolutions.{layer.replace('relu', 'conv')}.bias"].numel())

    def forward(self, rgb: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return the features at `layers`, or at all built layers; nothing deeper is computed."""
        wanted = set(self.layers if layers is None else layers)
        # The weights decide the dtype: trainings convert the network as a whole.
        x = self.convolutions["conv0"](rgb.to(next(self.parameters()).dtype))
        features = {}
        block = "1"
        for name, convolution in list(self.convolutions.items())[1:]:
            if name[4] != block:
                block = name[4]
                x = functional.max_pool2d(x, 2)
            x = convolution(functional.pad(x, (1, 1, 1, 1), self.padding)).relu_()
            layer = "relu" + name.removeprefix("conv")
            if layer in wanted:
                features[layer] = x
                wanted.remove(layer)
            if not wanted:
                break
        return features


class CombinedLossNetwork(nn.Module):
    """Several loss networks as one; each gives its own layers."""

    def __init__(self, networks: Sequence[LossNetwork]) -> None:
        """Combine `networks`, no two of which may have a layer in common."""
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.layers = tuple(layer for network in networks for layer in network.layers)

    def forward(self, rgb: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return features as a `LossNetwork` does; networks that are not needed do not run."""
        wanted = self.layers if layers is None else layers
        features: dict[str, Tensor] = {}
        for network in self.networks:
            assert isinstance(network, LossNetwork)
            own = [layer for layer in network.layers if layer in wanted]
            if own:
                features |= network(rgb, own)
        return features


def load_loss_networks(
    sources: Sequence[str], layers: Sequence[str]
) -> LossNetwork | CombinedLossNetwork:
    """Load the `layers` from one or several networks.

    A source is what `load_loss_network` takes, or SOURCE:LAYER,LAYER for these layers alone, which
    are then taken from it instead of from the sources before it. Raises ExportError if a layer has
    no source or a source cannot be found.
    """
    owners: dict[str, str] = {}
    for source in sources:
        path, colon, named = source.rpartition(":")
        if colon and named.startswith("relu"):
            owners |= dict.fromkeys(named.split(","), path)
        else:
            owners = dict.fromkeys(layers, source)
    missing = [layer for layer in layers if layer not in owners]
    if missing:
        raise ExportError(
            f"no loss network is given for {', '.join(missing)}; first give one without layers"
        )
    by_source: dict[str, list[str]] = {}
    for layer in dict.fromkeys(layers):
        by_source.setdefault(owners[layer], []).append(layer)
    networks = [load_loss_network(source, some) for source, some in by_source.items()]
    return networks[0] if len(networks) == 1 else CombinedLossNetwork(networks)


def load_loss_network(source: str, layers: Sequence[str] | None) -> LossNetwork:
    """Load the `layers` of a network, or all its layers if None.

    `source` is "vgg16" or "vgg19", which torchvision downloads, or a safetensors file with weights
    named as in `LossNetwork` and trained with reflection padding. Raises ExportError if there is no
    such network or layer.
    """
    if source in TORCHVISION:
        return LossNetwork(_torchvision_weights(source), layers, padding="constant")
    path = Path(source)
    if not path.is_file():
        raise ExportError(
            f"there is no loss network {source}; give {' or '.join(TORCHVISION)}, "
            "which torchvision downloads, or a safetensors file"
        )
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ExportError(f"the loss network {source} can't be read: {error}") from error
    return LossNetwork(weights, layers, padding="reflect")


def _is_layer(name: str) -> bool:
    return re.fullmatch(r"conv[1-5]_[1-4]\.weight", name) is not None


def _torchvision_weights(name: str) -> dict[str, Tensor]:
    """Return torchvision's weights under the layer names of the paper."""
    from torchvision.models import get_model

    weights = {
        # (rgb - mean) / std as a 1x1 convolution
        "conv0.weight": torch.diag(1 / IMAGENET_STD).reshape(3, 3, 1, 1),
        "conv0.bias": -IMAGENET_MEAN / IMAGENET_STD,
    }
    block, index = 1, 0
    for layer in get_model(name, weights="IMAGENET1K_V1").features:
        if isinstance(layer, nn.MaxPool2d):
            block, index = block + 1, 0
        elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
            index += 1
            weights[f"conv{block}_{index}.weight"] = layer.weight.detach()
            weights[f"conv{block}_{index}.bias"] = layer.bias.detach()
    return weights
