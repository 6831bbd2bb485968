"""Examples on their way to a network: images as they lie in memory, batches as it wants them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vision import augment, task
from vision.augment import Plan
from vision.network import Input
from vision.params import Augment
from vision.prepared import Prepared, Split
from vision.runtime import Compute
from vision.task import Task

NONE = Augment()
Batch = Tensor | tuple[Tensor, ...]
"""What a network, or the rest of one, takes: [B, ...] each."""


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
    streamed: bool = False
    """Batches take a while to get at, and are made ahead of their use."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def place(self) -> torch.device:
        """Where they lie, and indices of them should."""
        return self.pixels.device

    def batch(self, index: Tensor, plan: Plan | None, changes: Augment) -> Tensor:
        """Network input float32 [B, C, H, W] for the images `index` (int64 [B]), or, if there is a
        plan, for those at these places of it, augmented as planned."""
        chosen = (plan.samples[index] if plan else index).to(self.place)
        if plan is None or changes == NONE:
            return self.expects(_to(self.device, self.pixels[chosen]).permute(0, 3, 1, 2))
        draws = plan.draws[:, index].to(self.device, non_blocking=True)
        if self.place.type == self.device.type:  # "cuda" is not equal to "cuda:0"
            pixels = augment.take(self.pixels, chosen, draws, changes)
        else:
            here = _to(self.device, self.pixels[chosen])
            every = torch.arange(len(here), device=self.device)
            pixels = augment.take(here, every, draws, changes)
        return augment.erase(self.expects(pixels), draws, changes)


@dataclass(frozen=True)
class Features:
    """What the frozen front of a network makes of a split, in place of its images."""

    views: list[tuple[Tensor, ...]]
    """For each view, the tensors [N, ...] that the rest of the network takes."""
    targets: Tensor
    device: torch.device
    streamed: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def place(self) -> torch.device:
        """Where they lie, and indices of them should."""
        return self.views[0][0].device

    def batch(self, index: Tensor, plan: Plan | None, changes: Augment) -> tuple[Tensor, ...]:
        """Features [B, ...] of the images `index`, or of those at these places of a plan, in the
        view whose turn it is in the epoch."""
        view = self.views[(plan.epoch - 1) % len(self.views) if plan else 0]
        index = plan.samples[index] if plan else index
        chosen = (_to(self.device, values[index.to(values.device)]) for values in view)
        return tuple(v.float() if v.dtype == torch.float16 else v for v in chosen)


Examples = Images | Features


def _to(device: torch.device, values: Tensor) -> Tensor:
    """Values on the device; from pinned memory, the copy does not wait for the network."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def load(
    prepared: Prepared,
    split: Split,
    expects: Input,
    compute: Compute,
    subset: NDArray[np.int64] | None = None,
) -> Images:
    """A split, or the images `subset` of it, where the device reaches it."""
    pixels, targets = prepared.images(split), prepared.targets(split)
    if subset is not None and len(subset) < len(targets):
        pixels, targets = pixels[subset], targets[subset]
    return of(pixels, targets, task.of(prepared.manifest), expects, compute)


def of(
    pixels: NDArray[np.uint8],
    targets: NDArray[Any],
    learned: Task,
    expects: Input,
    compute: Compute,
) -> Images:
    """Images uint8 [N, H, W, C] and their targets (as in vision.prepared) where the device reaches
    them."""
    if not learned.classification:
        standard = (targets - learned.target_mean) / learned.target_std
        targets = standard.astype(np.float32)
    stored = torch.from_numpy(pixels)
    if fits := compute.holds(stored.nbytes):
        stored = stored.to(compute.device)
    return Images(
        stored,
        torch.from_numpy(targets).to(compute.device),
        expects,
        compute.device,
        streamed=not fits,
    )


def batches(
    examples: Examples, indices: list[Tensor], plan: Plan | None, changes: Augment
) -> Iterator[Batch]:
    """The batches of `indices` in turn; of streamed examples, each is made in a thread while the
    one before it is used."""

    def make(index: Tensor) -> Batch:
        return examples.batch(index, plan, changes)

    if not examples.streamed:
        yield from map(make, indices)
        return
    with ThreadPoolExecutor(1, "batches") as thread:
        waiting = None
        for index in indices:
            ahead = thread.submit(make, index)
            if waiting:
                yield waiting.result()
            waiting = ahead
        if waiting:
            yield waiting.result()
