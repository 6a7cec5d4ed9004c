"""Johnson's image transformation network, compared with the paper's table of layers."""

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from export.common.padding import reflect_pad, reflected_index
from export.families.johnson.model import Johnson, JohnsonConfig

CONFIGS = {
    "ours": JohnsonConfig(base_width=4),
    "paper": JohnsonConfig.paper(),
    "transposed": JohnsonConfig(base_width=4, upsampling="transposed"),
    "once": JohnsonConfig(base_width=4, padding="once"),
    "batch": JohnsonConfig(base_width=4, normalization="batch"),
}

TABLE = [
    ("convolution", (32, 336, 336)),
    ("convolution", (64, 168, 168)),
    ("convolution", (128, 84, 84)),
    ("residual block", (128, 80, 80)),
    ("residual block", (128, 76, 76)),
    ("residual block", (128, 72, 72)),
    ("residual block", (128, 68, 68)),
    ("residual block", (128, 64, 64)),
    ("convolution", (64, 128, 128)),
    ("convolution", (32, 256, 256)),
    ("convolution", (3, 256, 256)),
]
"""Table 1 of the supplement, after the reflection padding of 40 x 40."""


def test_activation_sizes_are_those_of_the_papers_table() -> None:
    net = Johnson(JohnsonConfig.paper()).eval()
    seen: list[tuple[str, tuple[int, ...]]] = []

    def record(kind: str):
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen.append((kind, tuple(output.shape[1:])))

        return hook

    for part in (net.encoder, net.decoder, net.to_rgb):
        for layer in part:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(record("convolution"))
    for block in net.residual:
        block.register_forward_hook(record("residual block"))
    with torch.no_grad():
        net(torch.rand(1, 3, 256, 256))
    assert seen == TABLE


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", [(16, 16), (48, 64), (37, 50), (17, 129)])
def test_every_size_is_kept(name: str, size: tuple[int, int]) -> None:
    net = Johnson(CONFIGS[name]).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("name", ["ours", "paper"])
def test_every_weight_learns(name: str) -> None:
    net = Johnson(CONFIGS[name])
    net(torch.rand(2, 3, 32, 32)).square().mean().backward()
    for parameter, values in net.named_parameters():
        assert values.grad is not None, parameter
        # A normalization removes the bias before it, so the gradient of that bias is only noise.
        assert torch.isfinite(values.grad).all(), parameter
        if parameter.endswith("weight"):
            assert values.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize(("border", "multiple"), [(0, 4), (3, 1), (10, 4)])
def test_reflection_is_that_of_torch_where_torch_can(border: int, multiple: int) -> None:
    x = torch.rand(1, 2, 21, 18)
    below, right = -21 % multiple, -18 % multiple
    padding = (border, border + right, border, border + below)
    expected = nn.functional.pad(x, padding, mode="reflect")
    assert torch.equal(reflect_pad(x, border, multiple), expected)


def test_reflection_goes_on_where_the_picture_is_smaller_than_its_border() -> None:
    indices = [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]
    assert reflected_index(3, before=5, after=5).tolist() == indices
