"""Temporal loss: what is painted must move as the video does, so that strokes stay steady.

The loss follows Huang et al. (Real-Time Neural Style Transfer for Videos, CVPR 2017), who take the
optical flow of real videos (here export/data/clips.py). Motion can also be synthetic: a photo moves
as a camera would move it, so that the motion is known exactly and no video is needed.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 0.04
"""Largest shift, relative to the picture's side; frames of 30 per second move less."""

ZOOM = 0.03
ROTATION = math.radians(2)
LOCAL = 0.01
"""Largest local displacement on top of the common motion, relative to the picture's side."""

LOCAL_CELLS = 4
NOISE = 0.02
"""Standard deviation of the camera noise, for colors in 0..1."""

LIGHT = 0.05
"""Largest relative change of brightness."""


class Motion:
    """Moves N square pictures to what a camera sees a moment later."""

    def __init__(self, grid: Tensor, inside: Tensor) -> None:
        """Take the earlier position of each pixel, (N, H, W, 2), in the form of grid_sample."""
        self._grid = grid
        self.inside = inside
        """Mask (N, 1, H, W): 1 where the moved picture shows part of the earlier one."""

    def __call__(self, rgb: Tensor) -> Tensor:
        """Return the pictures (N, 3, H, W) after the motion."""
        grid = self._grid.to(rgb.device, rgb.dtype)
        return functional.grid_sample(
            rgb, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )


class SyntheticMotion(Motion):
    """A random smooth motion that depends on `generator` alone."""

    def __init__(self, count: int, side: int, generator: torch.Generator) -> None:
        def random(*shape: int) -> Tensor:
            return 2 * torch.rand(*shape, generator=generator) - 1

        scale = 1 + ZOOM * random(count)
        angle = ROTATION * random(count)
        cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
        shift = 2 * SHIFT * random(count, 2)  # coordinates go from -1 to 1
        matrix = torch.stack(
            [
                torch.stack([cosine, -sine, shift[:, 0]], dim=1),
                torch.stack([sine, cosine, shift[:, 1]], dim=1),
            ],
            dim=1,
        )
        grid = functional.affine_grid(matrix, [count, 3, side, side], align_corners=False)
        local = 2 * LOCAL * random(count, 2, LOCAL_CELLS, LOCAL_CELLS)
        local = functional.interpolate(local, (side, side), mode="bicubic", align_corners=False)
        grid = grid + local.permute(0, 2, 3, 1)
        super().__init__(grid, (grid.abs() <= 1).all(dim=3)[:, None].float())
        self._noise = NOISE * torch.randn(count, 3, side, side, generator=generator)
        self._light = 1 + LIGHT * random(count, 1, 1, 1)

    def filmed(self, rgb: Tensor) -> Tensor:
        """Return the pictures after the motion as a camera sees them: noisy and in other light."""
        noise, light = self._noise.to(rgb.device), self._light.to(rgb.device)
        return (self(rgb) * light + noise).clamp(0, 1)


def temporal_loss(painted: Tensor, painted_after: Tensor, motion: Motion) -> Tensor:
    """Return the mean squared difference of the painting, moved, and the painting after the motion.

    Only positions that both show count.
    """
    inside = motion.inside.to(painted.device)
    difference = (painted_after.float() - motion(painted.float())) * inside
    # At a cut between two scenes, no position counts.
    return difference.square().sum() / (3 * inside.sum()).clamp(min=1)
