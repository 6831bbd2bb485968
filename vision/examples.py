"""Examples on their way to a network: images as they lie in memory, batches as it wants them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vision import augment
from vision.network import Input
from vision.params import Augment
from vision.runtime import Compute

NONE = Augment()


@dataclass(frozen=True)
class Images:
    """A split's images and targets, with what the network expects of them.

    `pixels` (uint8 [N, H, W, C]) are on the device where they fit, else a memory map on the CPU;
    `targets` (int64, or standardised float32; [N]) are on the device.
    """

    pixels: Tensor
    targets: Tensor
    expects: Input
    device: torch.device

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Tensor, draws: Tensor | None, changes: Augment) -> Tensor:
        """Network input float32 [B, C, H, W] for the images `index` (int64 [B], CPU), augmented by
        their draws (float32 [12, B], CPU) if there are any."""
        chosen = index.to(self.pixels.device)
        if draws is None or changes == NONE:
            pixels = self.pixels[chosen].to(self.device).permute(0, 3, 1, 2)
            return self.expects(pixels)
        draws = draws.to(self.device)
        if self.pixels.device == self.device:
            pixels = augment.take(self.pixels, chosen, draws, changes)
        else:
            here = self.pixels[chosen].to(self.device)
            every = torch.arange(len(here), device=self.device)
            pixels = augment.take(here, every, draws, changes)
        return augment.erase(self.expects(pixels), draws, changes)


@dataclass(frozen=True)
class Features:
    """What a frozen body makes of a split, float32 [N, F], in place of its images."""

    values: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Tensor, draws: Tensor | None, changes: Augment) -> Tensor:
        """Features [B, F] of the images `index`; there is nothing to augment."""
        return self.values[index.to(self.values.device)]


Examples = Images | Features


def load_images(
    pixels: NDArray[np.uint8],
    targets: NDArray[Any],
    expects: Input,
    compute: Compute,
    standardise: tuple[float, float] | None = None,
) -> Images:
    """Put a split where the device reaches it.

    Args:
        pixels: uint8 [N, H, W, C], possibly memory-mapped.
        targets: int64 classes, or float32 values that are standardised by (mean, std).
    """
    stored = torch.from_numpy(pixels)
    if compute.holds(stored.nbytes):
        stored = stored.to(compute.device)
    if standardise is not None:
        mean, std = standardise
        targets = ((targets - mean) / std).astype(np.float32)
    return Images(stored, torch.from_numpy(targets).to(compute.device), expects, compute.device)
