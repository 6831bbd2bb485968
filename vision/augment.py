"""The epoch plan and the batched augmentation.

Every random number of an epoch is drawn on the CPU before it starts, from (seed, epoch), a fixed
few for each sample. Devices only carry the plan out, so that what a sample looks like depends on
(seed, epoch, sample) and on nothing else.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vision.params import Augment

# One row of uniform numbers each; the order is part of what makes runs repeatable.
FLIP, CROP_Y, CROP_X, SHIFT_Y, SHIFT_X, ROTATION, ZOOM = range(7)
ERASE, ERASE_AREA, ERASE_ASPECT, ERASE_Y, ERASE_X = range(7, 12)
ROWS = 12


@dataclass(frozen=True)
class Plan:
    """The order of an epoch's samples, int64 [N], and their draws, float32 [12, N] in 0..1."""

    order: Tensor
    draws: Tensor


def plan(samples: int, seed: int, epoch: int) -> Plan:
    """The plan of one epoch; `draws[:, i]` belongs to sample i, not to the i-th of the order."""
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(samples)
    draws = random.random((ROWS, samples), dtype=np.float32)
    return Plan(torch.from_numpy(order), torch.from_numpy(draws))


def take(images: Tensor, index: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Pick images and move their pixels as drawn (everything but erasing).

    Args:
        images: uint8 [N, H, W, C].
        index: which images, int64 [B], on the same device.
        draws: float32 [12, B], on the same device.

    Returns:
        [B, C, H, W] of 0..255, channels last; uint8, or float32 where pixels were interpolated.
    """
    height, width = images.shape[1:3]
    batch = index[:, None, None]
    rows = torch.arange(height, device=index.device)[None, :]
    columns = torch.arange(width, device=index.device)[None, :]
    if augment.crop:
        reach = 2 * augment.crop + 1
        rows = _reflect(rows + (draws[CROP_Y] * reach).long()[:, None] - augment.crop, height)
        columns = _reflect(columns + (draws[CROP_X] * reach).long()[:, None] - augment.crop, width)
    if augment.flip:
        columns = torch.where(draws[FLIP, :, None] < 0.5, width - 1 - columns, columns)
    # one gather does the picking, the crop and the flip
    pixels = images[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if augment.rotation or augment.zoom or augment.shift:
        pixels = _affine(pixels.float(), draws, augment)
    return pixels


def _reflect(position: Tensor, size: int) -> Tensor:
    last = size - 1
    return last - (last - position.abs()).abs()


def _affine(x: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Rotate, zoom and shift in one bilinear resampling; the border is repeated outwards."""
    height, width = x.shape[2:]
    signed = draws * 2 - 1
    angle = signed[ROTATION] * math.radians(augment.rotation)
    scale = 1 + signed[ZOOM] * augment.zoom
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # grid coordinates run from -1 to 1 along each side, so a turn mixes them by the sides' ratio
    theta = torch.stack(
        [
            torch.stack([cos, -sin * height / width, signed[SHIFT_X] * 2 * augment.shift], dim=1),
            torch.stack([sin * width / height, cos, signed[SHIFT_Y] * 2 * augment.shift], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def erase(x: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Set one rectangle to zero, the mean colour, in the share `augment.erase` of the images.

    Random erasing (arXiv 1708.04896): 2 to 33 % of the area, aspect ratio 0.3 to 3.3.

    Args:
        x: normalised input, float32 [B, C, H, W].
        draws: float32 [12, B], on the same device.
    """
    if not augment.erase:
        return x
    height, width = x.shape[2:]
    area = 0.02 + draws[ERASE_AREA] * (0.33 - 0.02)
    aspect = torch.exp((draws[ERASE_ASPECT] * 2 - 1) * math.log(3.3))
    tall = ((area * aspect).sqrt().clamp(max=1) * height).round()
    wide = ((area / aspect).sqrt().clamp(max=1) * width).round()
    top = (draws[ERASE_Y] * (height - tall + 1)).floor()
    left = (draws[ERASE_X] * (width - wide + 1)).floor()
    rows = torch.arange(height, device=x.device)
    columns = torch.arange(width, device=x.device)
    inside_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    inside_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    chosen = (draws[ERASE] < augment.erase)[:, None, None]
    hole = chosen & inside_rows[:, :, None] & inside_columns[:, None, :]
    return x.masked_fill(hole[:, None], 0)
