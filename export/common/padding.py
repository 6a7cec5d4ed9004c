"""Reflection padding by index, which works at every size and exports as a Gather.

`torch.nn.functional.pad` and ONNX's `Pad` need a padding smaller than the picture. Johnson's table
asks for 40 pixels, even around a frame of 16 pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional


def reflected_index(size: int, before: int, after: int) -> Tensor:
    """Return the index of the source pixel of each padded pixel, (before + size + after,) int64.

    The indices follow a triangular wave of period 2 * (size - 1), which is reflection without
    repeating the edge. `size` is at least 2.
    """
    index = torch.arange(-before, size + after).abs()
    # A tensor: the exporter has no remainder by a size that is known only at run time.
    period = torch.full_like(index, 2 * (size - 1))
    index = index % period
    return torch.minimum(index, period - index)


def reflect_pad(x: Tensor, border: int, multiple: int) -> Tensor:
    """Reflect (N, C, H, W) by `border` on all sides, then up to a multiple at bottom and right.

    Without the borders, the result has the smallest sides from (H, W) up that `multiple` divides.
    """
    height, width = x.shape[-2], x.shape[-1]
    # Not with a remainder: torch.export can't prove that the sum is a multiple. Not with a division
    # of a negative number: onnxruntime rounds it differently.
    whole_height, whole_width = (
        (size + multiple - 1) // multiple * multiple for size in (height, width)
    )
    rows = reflected_index(height, border, border + whole_height - height)
    columns = reflected_index(width, border, border + whole_width - width)
    return x.index_select(-2, rows.to(x.device)).index_select(-1, columns.to(x.device))


def padded(x: Tensor, mode: str, border: int = 1) -> Tensor:
    """Pad (N, C, H, W) by `border` pixels on all sides; `mode` is "reflect" or "replicate"."""
    with torch.autocast(x.device.type, enabled=False):  # autocast would pad in float32, slowly
        return functional.pad(x, (border,) * 4, mode)
