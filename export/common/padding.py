"""Reflection padding by index, which works at every size and exports as a Gather.

`torch.nn.functional.pad` needs the padding to be smaller than the picture, and so does ONNX's
`Pad`. The 40 pixels of Johnson's table around a 16 pixel frame are not, hence this module.
"""

import torch
from torch import Tensor
from torch.nn import functional


def reflected_index(size: int, before: int, after: int) -> Tensor:
    """The index of the source pixel of each padded pixel, (before + size + after,) int64.

    The triangular wave of period 2 * (size - 1) that reflection without repeating the edge is.
    `size` is at least 2.
    """
    index = torch.arange(-before, size + after).abs()
    # A tensor, as the exporter has no remainder by a size that is known only at run time.
    period = torch.full_like(index, 2 * (size - 1))
    index = index % period
    return torch.minimum(index, period - index)


def reflect_pad(x: Tensor, border: int, multiple: int) -> Tensor:
    """Reflect (N, C, H, W) by `border` on all sides, then on to a multiple at bottom and right.

    Without the borders the result is the smallest size from (H, W) up that `multiple` divides.
    """
    height, width = x.shape[-2], x.shape[-1]
    # Not by a remainder, of which torch.export can't tell that the whole is a multiple; nor by a
    # division of something negative, which onnxruntime rounds another way.
    whole_height, whole_width = (
        (size + multiple - 1) // multiple * multiple for size in (height, width)
    )
    rows = reflected_index(height, border, border + whole_height - height)
    columns = reflected_index(width, border, border + whole_width - width)
    return x.index_select(-2, rows.to(x.device)).index_select(-1, columns.to(x.device))


def padded(x: Tensor, mode: str, border: int = 1) -> Tensor:
    """(N, C, H, W) with a border on all sides, "reflect" or "replicate"."""
    with torch.autocast(x.device.type, enabled=False):  # which would pad in float32, slowly
        return functional.pad(x, (border,) * 4, mode)
