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
from numpy.typing import NDArray
from torch import Tensor

from vision.params import Augment

# One row of uniform numbers each; the order is part of what makes runs repeatable.
FLIP, CROP_Y, CROP_X, SHIFT_Y, SHIFT_X, ROTATION, ZOOM = range(7)
ERASE, ERASE_AREA, ERASE_ASPECT, ERASE_Y, ERASE_X = range(7, 12)
MIX, MIX_SHARE, MIX_Y, MIX_X = range(12, 16)
ROWS = 16


@dataclass(frozen=True)
class Plan:
    """What an epoch shows: N places, each of one sample."""

    epoch: int
    """From 1."""
    order: Tensor
    """Of the places, int64 [N]."""
    draws: Tensor
    """Of each place, float32 [16, N] in 0..1."""
    samples: Tensor
    """At each place, int64 [N]."""

    def to(self, device: torch.device) -> "Plan":
        """The plan where the samples lie, so that no step waits for its part of it."""
        return Plan(self.epoch, *(t.to(device) for t in (self.order, self.draws, self.samples)))


def plan(
    samples: int,
    seed: int,
    epoch: int,
    augment: Augment,
    passes: int = 1,
    classes: Tensor | None = None,
) -> Plan:
    """The plan of one epoch.

    Args:
        passes: over the samples; each has an order and draws of its own.
        classes: of the samples, int64 [N], where each class is to be shown equally often.
    """
    random = np.random.default_rng((seed, epoch))
    places = samples * passes
    order = np.concatenate([i * samples + random.permutation(samples) for i in range(passes)])
    draws = random.random((ROWS, places), dtype=np.float32)
    if augment.flip == "alternating":
        first = np.random.default_rng((seed, 0)).random(samples, dtype=np.float32)
        turns = [(epoch - 1) * passes + i for i in range(passes)]
        draws[FLIP] = np.concatenate([1 - first if turn % 2 else first for turn in turns])
    if augment.mixup:
        draws[MIX_SHARE] = random.beta(augment.mixup, augment.mixup, places)
    if augment.cutmix:
        cut = (draws[MIX] >= 0.5) | (augment.mixup == 0)
        areas = random.beta(augment.cutmix, augment.cutmix, places)
        draws[MIX_SHARE] = np.where(cut, areas, draws[MIX_SHARE])
    shown = np.tile(np.arange(samples), passes)
    if classes is not None:
        again = np.random.default_rng((seed, epoch, 1))
        every = classes.cpu().numpy()
        shown = np.concatenate([_balanced(every, again) for _ in range(passes)])
    return Plan(epoch, *map(torch.from_numpy, (order, draws, shown)))


def _balanced(classes: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """As many samples as there are, equally many of each class that occurs: all of a class before
    any of it again."""
    present = random.permutation(np.unique(classes))
    shares = np.full(len(present), len(classes) // len(present))
    shares[: len(classes) % len(present)] += 1
    chosen = [
        np.resize(random.permutation(np.flatnonzero(classes == k)), share)
        for k, share in zip(present, shares, strict=True)
    ]
    return np.concatenate(chosen)


def take(images: Tensor, index: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Pick images and move their pixels as drawn (everything but erasing).

    Args:
        images: uint8 [N, H, W, C].
        index: which images, int64 [B], on the same device.
        draws: float32 [16, B], on the same device.

    Returns:
        [B, C, H, W] of 0..255: uint8, channels last; or float32 where pixels were interpolated.
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
        draws: float32 [16, B], on the same device.
    """
    if not augment.erase:
        return x
    height, width = x.shape[2:]
    area = 0.02 + draws[ERASE_AREA] * (0.33 - 0.02)
    aspect = torch.exp((draws[ERASE_ASPECT] * 2 - 1) * math.log(3.3))
    tall = ((area * aspect).sqrt().clamp(max=1) * height).round()
    wide = ((area / aspect).sqrt().clamp(max=1) * width).round()
    hole = _rectangle(x, tall, wide, draws[ERASE_Y], draws[ERASE_X])
    chosen = (draws[ERASE] < augment.erase)[:, None, None, None]
    return x.masked_fill(hole & chosen, 0)


def mix(x: Tensor, draws: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
    """Mix each image with the one before it in the batch, by mixup or cutmix.

    Args:
        x: normalised input, float32 [B, C, H, W].
        draws: float32 [16, B], on the same device.

    Returns:
        The mixed input, and the share of it that is of the other image, float32 [B].
    """
    height, width = x.shape[2:]
    other, share = x.roll(1, 0), draws[MIX_SHARE]
    blended = torch.lerp(x, other, share[:, None, None, None])
    tall, wide = (share.sqrt() * height).round(), (share.sqrt() * width).round()
    window = _rectangle(x, tall, wide, draws[MIX_Y], draws[MIX_X])
    pasted = torch.where(window, other, x)
    area = tall * wide / (height * width)
    if not augment.mixup:
        return pasted, area
    if not augment.cutmix:
        return blended, share
    cut = draws[MIX] >= 0.5
    return torch.where(cut[:, None, None, None], pasted, blended), torch.where(cut, area, share)


def _rectangle(images: Tensor, tall: Tensor, wide: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """A mask, bool [B, 1, H, W], of a rectangle in each image: its sides in pixels, and its place
    as a share (0..1) of the places where it fits whole; all [B]."""
    height, width = images.shape[2:]
    top, left = (y * (height - tall + 1)).floor(), (x * (width - wide + 1)).floor()
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    inside_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    inside_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
