"""Convolutions between cells give the same sums as convolutions between pixels."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional

from export.common import space_to_depth


def convolved(
    x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), "replicate"), kernel, bias)


def pixels(x: torch.Tensor, side: int) -> torch.Tensor:
    return space_to_depth.depth_to_space(x, side).permute(0, 3, 1, 2)


def test_cells_and_back() -> None:
    frames = torch.randint(0, 256, (2, 8, 16, 3), dtype=torch.uint8)
    made = space_to_depth.space_to_depth(frames, 4)
    assert made.shape == (2, 2, 4, 48)
    assert torch.equal(made[1, 0, 3, 3 * (4 * 1 + 2)], frames[1, 1, 4 * 3 + 2, 0])
    assert torch.equal(space_to_depth.depth_to_space(made.permute(0, 3, 1, 2), 4), frames)


@pytest.mark.parametrize(("mode", "border"), [("nearest", "reflect"), ("bilinear", "replicate")])
def test_a_resize_convolution_borders_included(mode: str, border: str) -> None:
    torch.manual_seed(0)
    x, kernel = torch.rand(2, 5, 6, 8), torch.rand(4, 5, 3, 3)
    larger = functional.interpolate(x, scale_factor=2.0, mode=mode)
    expected = functional.conv2d(functional.pad(larger, (1, 1, 1, 1), border), kernel)
    between = space_to_depth.resizing_kernel(kernel, bilinear=mode == "bilinear")
    torch.testing.assert_close(pixels(convolved(x, between), 2), expected, rtol=1e-4, atol=1e-4)


def test_depth_to_space_and_a_blur() -> None:
    torch.manual_seed(0)
    places = torch.rand(2, 5, 8, 12)  # at half the resolution
    inner, inner_bias = torch.rand(12, 5, 3, 3), torch.rand(12)
    outer, outer_bias = torch.rand(3, 3, 3, 3), torch.rand(3)
    between = pixels(functional.conv2d(functional.pad(places, (1,) * 4), inner, inner_bias), 2)
    expected = functional.conv2d(functional.pad(between, (1,) * 4), outer, outer_bias)
    x = space_to_depth.space_to_depth(places.permute(0, 2, 3, 1), 2).permute(0, 3, 1, 2)
    kernel = space_to_depth.shuffled_kernel(inner, outer)
    bias = space_to_depth.shuffled_bias(inner_bias, outer, outer_bias)
    assert kernel.shape == (48, 20, 3, 3)
    made = pixels(convolved(x, kernel, bias), 4)
    assert made.shape == expected.shape
    inside = (..., slice(3, -3), slice(3, -3))  # the borders are padded differently
    torch.testing.assert_close(made[inside], expected[inside], rtol=1e-4, atol=1e-4)


def test_a_convolution_between_pixels() -> None:
    x = torch.randn(2, 5, 8, 12)
    kernel = torch.randn(3, 5, 3, 3)
    wanted = functional.conv2d(x, kernel, padding=1)
    made = space_to_depth.space_to_depth(x.permute(0, 2, 3, 1), 2).permute(0, 3, 1, 2)
    between = functional.conv2d(made, space_to_depth.cell_kernel(kernel), padding=1)
    torch.testing.assert_close(pixels(between, 2), wanted, atol=1e-4, rtol=1e-4)
