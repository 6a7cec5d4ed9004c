"""Kernels of convolutions between cells; a cell holds the pixels of a square as channels.

The pixels, or positions, of a square become the channels of one position, row by row. A convolution
between pixels equals another one between their cells, at a fraction of the resolution, where
processors are faster. This module computes the kernels between cells.
"""

import torch
from torch import Tensor, nn


def space_to_depth(frames: Tensor, side: int) -> Tensor:
    """Convert frames (N, H, W, C) of any type to (N, H / side, W / side, side * side * C).

    On uint8 frames it moves a quarter of the bytes that it would move on float32.
    """
    split = torch.unflatten(frames, 2, (-1, side)).flatten(3)
    lines = torch.unflatten(split, 1, (-1, side)).unbind(2)
    return torch.cat(lines, dim=3)


def depth_to_space(cells: Tensor, side: int) -> Tensor:
    """Convert cells (N, side * side * C, H / side, W / side) to frames (N, H, W, C)."""
    lines = [line.permute(0, 2, 3, 1) for line in cells.chunk(side, dim=1)]
    return torch.unflatten(torch.stack(lines, dim=2).flatten(1, 2), 3, (side, -1)).flatten(2, 3)


def _taps_between_cells() -> Tensor:
    """Return 0 or 1 for [pixel of the cell, tap, pixel read, cell it is in]."""
    at = torch.zeros(2, 3, 2, 3)
    for pixel in range(2):
        for tap in range(3):
            cell, read = divmod(pixel + tap - 1, 2)
            at[pixel, tap, read, cell + 1] = 1
    return at


def _taps_of_resizing(bilinear: bool) -> Tensor:
    """Return weights for [pixel of the cell, tap, tap of the result]."""
    at = torch.zeros(2, 3, 3)
    for pixel in range(2):
        for tap in range(3):
            place, half = divmod(pixel + tap - 1, 2)
            at[pixel, tap, place + 1] = 0.75 if bilinear else 1
            if bilinear:  # a pixel lies a quarter of the way to the position on its side
                at[pixel, tap, place + 1 + (1 if half else -1)] = 0.25
    return at


def _taps_of_shuffling() -> Tensor:
    """Return 0 or 1 for each way in which a tap of both kernels reads a position.

    The axes are [pixel of the cell, tap of the outer kernel, pixel of the inner kernel's cell, its
    tap, position in the cell that is read, tap of the result].
    """
    at = torch.zeros(4, 3, 2, 3, 2, 3)
    for pixel in range(4):
        for outer_tap in range(3):
            inner_place, inner_pixel = divmod(pixel + outer_tap - 1, 2)
            for inner_tap in range(3):
                cell, place = divmod(inner_place + inner_tap - 1, 2)
                at[pixel, outer_tap, inner_pixel, inner_tap, place, cell + 1] = 1
    return at


# Built once: an export would trace each assignment, which took half of its time.
_BETWEEN_CELLS = _taps_between_cells()
_NEAREST, _BILINEAR = _taps_of_resizing(bilinear=False), _taps_of_resizing(bilinear=True)
_SHUFFLING = _taps_of_shuffling()
_BINOMIAL = torch.tensor([1.0, 2.0, 1.0]) / 4


def cell_kernel(kernel: Tensor) -> Tensor:
    """Convert `kernel` from pixels to cells of 2x2 pixels: (O, I, 3, 3) to (4 O, 4 I, 3, 3)."""
    at = _BETWEEN_CELLS.to(kernel)
    return torch.einsum("oiyx,aypv,cxqw->acopqivw", kernel, at, at).flatten(3, 5).flatten(0, 2)


def resizing_kernel(kernel: Tensor, bilinear: bool = False) -> Tensor:
    """Fold an upsampling by two and `kernel`, (O, I, 3, 3), into one kernel, (4 O, I, 3, 3).

    The upsampling is nearest or bilinear. The result maps positions to cells of 2x2. Its input
    needs a replicated border of one: that equals a reflected border after the nearest upsampling,
    or a replicated one after the bilinear upsampling.
    """
    at = (_BILINEAR if bilinear else _NEAREST).to(kernel)
    return torch.einsum("oiyx,ayv,cxw->acoivw", kernel, at, at).flatten(0, 2)


def shuffled_kernel(inner: Tensor, outer: Tensor) -> Tensor:
    """Fold the kernels `inner` and `outer`, with a pixel shuffle between them, into one.

    `inner`, (4 M, I, 3, 3), makes cells of 2x2 pixels; `outer`, (O, M, 3, 3), works between those
    pixels. The result, (16 O, 4 I, 3, 3), maps cells of 2x2 positions to cells of 4x4 pixels.
    """
    at = _SHUFFLING.to(inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    kernel = torch.einsum("omtv,szmiuw,atsubk,cvzwdl->acobdikl", outer, inner, at, at)
    return kernel.flatten(3, 5).flatten(0, 2)


def shuffled_bias(inner: Tensor, outer: Tensor, outer_bias: Tensor) -> Tensor:
    """Return the bias of `shuffled_kernel`, (16 O,).

    `inner`, (4 M,), and `outer_bias`, (O,), are the biases; `outer` is the kernel.
    """
    at = _SHUFFLING.amax(dim=(3, 4, 5)).to(inner)
    inner = torch.unflatten(inner, 0, (2, 2, -1))
    bias = torch.einsum("omtv,szm,ats,cvz->aco", outer, inner, at, at)
    return (bias + outer_bias).flatten()


def bias_of(convolution: nn.Conv2d) -> Tensor:
    """Return the bias of a convolution, which must have one."""
    assert convolution.bias is not None
    return convolution.bias


def binomial(like: Tensor) -> Tensor:
    """Return a kernel (3, 3, 3, 3) that blurs three channels separately, typed like `like`."""
    line = _BINOMIAL.to(like)
    return torch.eye(3).to(like)[..., None, None] * (line[:, None] * line)
