"""Pictures as cells: the pixels, or places, of a square are the channels of one place, row by row.

What a convolution does between pixels another does between their cells, at a fraction of the
resolution, where processors are faster: these are its kernels.
"""

import torch
from torch import Tensor, nn


def space_to_depth(frames: Tensor, side: int) -> Tensor:
    """Frames (N, H, W, C) of any type to (N, H / side, W / side, side * side * C). Of bytes as they
    come it moves a quarter of what it would of numbers.
    """
    split = torch.unflatten(frames, 2, (-1, side)).flatten(3)
    lines = torch.unflatten(split, 1, (-1, side)).unbind(2)
    return torch.cat(lines, dim=3)


def depth_to_space(cells: Tensor, side: int) -> Tensor:
    """Cells (N, side * side * C, H / side, W / side), as convolutions give them, to frames
    (N, H, W, C).
    """
    lines = [line.permute(0, 2, 3, 1) for line in cells.chunk(side, dim=1)]
    return torch.unflatten(torch.stack(lines, dim=2).flatten(1, 2), 3, (side, -1)).flatten(2, 3)


def _taps_between_cells() -> Tensor:
    """[pixel of the cell, tap, pixel read, cell it is in]"""
    at = torch.zeros(2, 3, 2, 3)
    for pixel in range(2):
        for tap in range(3):
            cell, read = divmod(pixel + tap - 1, 2)
            at[pixel, tap, read, cell + 1] = 1
    return at


def _taps_of_resizing(bilinear: bool) -> Tensor:
    """[pixel of the cell, tap, tap of the result]"""
    at = torch.zeros(2, 3, 3)
    for pixel in range(2):
        for tap in range(3):
            place, half = divmod(pixel + tap - 1, 2)
            at[pixel, tap, place + 1] = 0.75 if bilinear else 1
            if bilinear:  # a pixel lies a quarter of the way to the place on its own side
                at[pixel, tap, place + 1 + (1 if half else -1)] = 0.25
    return at


def _taps_of_shuffling() -> Tensor:
    """[pixel of the cell, tap of the outer one, pixel of the inner one's cell, its tap, place of
    the cell that is read, tap of the result]
    """
    at = torch.zeros(4, 3, 2, 3, 2, 3)
    for pixel in range(4):
        for outer_tap in range(3):
            inner_place, inner_pixel = divmod(pixel + outer_tap - 1, 2)
            for inner_tap in range(3):
                cell, place = divmod(inner_place + inner_tap - 1, 2)
                at[pixel, outer_tap, inner_pixel, inner_tap, place, cell + 1] = 1
    return at


# Made once, for an export would trace each value that is set, which took half of its time.
_BETWEEN_CELLS = _taps_between_cells()
_NEAREST, _BILINEAR = _taps_of_resizing(bilinear=False), _taps_of_resizing(bilinear=True)
_SHUFFLING = _taps_of_shuffling()
_BINOMIAL = torch.tensor([1.0, 2.0, 1.0]) / 4


def cell_kernel(kernel: Tensor) -> Tensor:
    """`kernel`, (O, I, 3, 3), between pixels: between cells of 2x2 of them, (4 O, 4 I, 3, 3)."""
    at = _BETWEEN_CELLS.to(kernel)
    return torch.einsum("oiyx,aypv,cxqw->acopqivw", kernel, at, at).flatten(3, 5).flatten(0, 2)


def resizing_kernel(kernel: Tensor, bilinear: bool = False) -> Tensor:
    """Nearest or bilinear upsampling by two and then `kernel`, (O, I, 3, 3): from places to cells
    of 2x2, (4 O, I, 3, 3). Its border of one is to be repeated: that is one reflected after the
    nearest upsampling, or repeated after the bilinear one.
    """
    at = (_BILINEAR if bilinear else _NEAREST).to(kernel)
    return torch.einsum("oiyx,ayv,cxw->acoivw", kernel, at, at).flatten(0, 2)


def shuffled_kernel(inner: Tensor, outer: Tensor) -> Tensor:
    """`inner`, (4 M, I, 3, 3), whose result is cells of 2x2 pixels, and then `outer`,
    (O, M, 3, 3), between those pixels: from cells of 2x2 places of `inner` to ones of 4x4 pixels,
    (16 O, 4 I, 3, 3).
    """
    at = _SHUFFLING.to(inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    kernel = torch.einsum("omtv,szmiuw,atsubk,cvzwdl->acobdikl", outer, inner, at, at)
    return kernel.flatten(3, 5).flatten(0, 2)


def shuffled_bias(inner: Tensor, outer: Tensor, outer_bias: Tensor) -> Tensor:
    """What the biases of both, (4 M,) and (O,), come to, (16 O,)."""
    at = _SHUFFLING.amax(dim=(3, 4, 5)).to(inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    bias = torch.einsum("omtv,szm,ats,cvz->aco", outer, inner, at, at)
    return (bias + outer_bias).flatten()


def bias_of(convolution: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert convolution.bias is not None
    return convolution.bias


def binomial(like: Tensor) -> Tensor:
    """A blur of each of three channels for itself, as a kernel (3, 3, 3, 3)."""
    line = _BINOMIAL.to(like)
    return torch.eye(3).to(like)[..., None, None] * (line[:, None] * line)
