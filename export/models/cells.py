"""Pictures as cells: the pixels, or places, of a square are the channels of one place, row by row.

What a convolution does between pixels another does between their cells, at a fraction of the
resolution, where processors are faster: these are its kernels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def to_cells(frames: Tensor, side: int) -> Tensor:
    """Frames (N, H, W, C) of any type to (N, H / side, W / side, side * side * C). Of bytes as they
    come it moves a quarter of what it would of numbers."""
    split = torch.unflatten(frames, 2, (-1, side)).flatten(3)
    lines = torch.unflatten(split, 1, (-1, side)).unbind(2)
    return torch.cat(lines, dim=3)


def from_cells(cells: Tensor, side: int) -> Tensor:
    """Cells (N, side * side * C, H / side, W / side), as convolutions give them, to frames
    (N, H, W, C)."""
    lines = [line.permute(0, 2, 3, 1) for line in cells.chunk(side, dim=1)]
    return torch.unflatten(torch.stack(lines, dim=2).flatten(1, 2), 3, (side, -1)).flatten(2, 3)


def cell_kernel(kernel: Tensor) -> Tensor:
    """`kernel`, (O, I, 3, 3), between pixels: between cells of 2x2 of them, (4 O, 4 I, 3, 3)."""
    at = np.zeros((2, 3, 2, 3))  # [pixel of the cell, tap of `kernel`, pixel read, cell it is in]
    for pixel in range(2):
        for tap in range(3):
            cell, read = divmod(pixel + tap - 1, 2)
            at[pixel, tap, read, cell + 1] = 1
    placed = _constant(at, kernel)
    return (
        torch.einsum("oiyx,aypv,cxqw->acopqivw", kernel, placed, placed).flatten(3, 5).flatten(0, 2)
    )


def resizing_kernel(kernel: Tensor, bilinear: bool = False) -> Tensor:
    """Nearest or bilinear upsampling by two and then `kernel`, (O, I, 3, 3): from places to cells
    of 2x2, (4 O, I, 3, 3). Its border of one is to be repeated: that is one reflected after the
    nearest upsampling, or repeated after the bilinear one."""
    at = np.zeros((2, 3, 3))  # [pixel of the cell, tap of `kernel`, tap of the result]
    for pixel in range(2):
        for tap in range(3):
            place, half = divmod(pixel + tap - 1, 2)
            at[pixel, tap, place + 1] = 0.75 if bilinear else 1
            if bilinear:  # a pixel lies a quarter of the way to the place on its own side
                at[pixel, tap, place + 1 + (1 if half else -1)] = 0.25
    placed = _constant(at, kernel)
    return torch.einsum("oiyx,ayv,cxw->acoivw", kernel, placed, placed).flatten(0, 2)


def shuffled_kernel(inner: Tensor, outer: Tensor) -> Tensor:
    """`inner`, (4 M, I, 3, 3), whose result is cells of 2x2 pixels, and then `outer`,
    (O, M, 3, 3), between those pixels: from cells of 2x2 places of `inner` to ones of 4x4 pixels,
    (16 O, 4 I, 3, 3)."""
    # [pixel of the cell, tap of `outer`, pixel of inner's cell, tap of `inner`, place of the cell
    # that is read, tap of the result]
    at = np.zeros((4, 3, 2, 3, 2, 3))
    for pixel in range(4):
        for outer_tap in range(3):
            inner_place, inner_pixel = divmod(pixel + outer_tap - 1, 2)
            for inner_tap in range(3):
                cell, place = divmod(inner_place + inner_tap - 1, 2)
                at[pixel, outer_tap, inner_pixel, inner_tap, place, cell + 1] = 1
    placed = _constant(at, inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    kernel = torch.einsum("omtv,szmiuw,atsubk,cvzwdl->acobdikl", outer, inner, placed, placed)
    return kernel.flatten(3, 5).flatten(0, 2)


def shuffled_bias(inner: Tensor, outer: Tensor, outer_bias: Tensor) -> Tensor:
    """What the biases of both, (4 M,) and (O,), come to, (16 O,)."""
    at = np.zeros((4, 3, 2))
    for pixel in range(4):
        for tap in range(3):
            at[pixel, tap, (pixel + tap - 1) % 2] = 1
    placed = _constant(at, inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    bias = torch.einsum("omtv,szm,ats,cvz->aco", outer, inner, placed, placed)
    return (bias + outer_bias).flatten()


def bias_of(convolution: nn.Conv2d) -> Tensor:
    """Of a convolution that has one."""
    assert convolution.bias is not None
    return convolution.bias


def binomial(like: Tensor) -> Tensor:
    """A blur of each of three channels for itself, as a kernel (3, 3, 3, 3)."""
    line = np.array([1.0, 2.0, 1.0]) / 4
    return _constant(np.eye(3)[..., None, None] * np.outer(line, line), like)


def _constant(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """As one operation of the graph: each value that is set in a tensor is traced for itself, which
    took half of the time of an export."""
    return torch.tensor(values.tolist(), dtype=like.dtype, device=like.device)
