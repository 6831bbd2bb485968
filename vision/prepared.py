"""The packed arrays: the only form of the data that later stages see.

A folder with, for each split (train, val, test), `SPLIT.npy` (uint8 [N, H, W, C]) and
`SPLIT_targets.npy` (int64 class indices or float32 values, [N]), then `samples.csv` (columns
split, index, name, target, and width and height before packing) and `manifest.json`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from vision.params import Labels

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Manifest(BaseModel):
    """What the arrays hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["classification", "regression"]
    classes: list[str]
    """Class names by index; empty for regression."""
    unit: str
    """Unit of a regression target."""
    height: int
    width: int
    channels: int
    mean: list[float]
    std: list[float]
    """Of the training split, a value a channel, for pixels scaled to 0..1."""
    target_mean: float | None
    target_std: float | None
    """Of the training split's targets; null for classification."""
    counts: dict[Split, int]
    class_counts: dict[Split, list[int]]
    """Images by class index; empty lists for regression."""
    split_digest: str
    """sha256 over every image's split, name, target and pixels."""
    duplicates_within: dict[Split, int]
    """Images whose very same pixels stand earlier in their own split."""
    duplicates_across: list[list[str]]
    """Groups of `split/name` with the same pixels in more than one split."""
    deduplicated: int
    """Images taken out because a later split holds the same pixels."""
    skipped: list[dict[str, str]]
    """Unreadable images left out: file, reason."""


@dataclass(frozen=True)
class Prepared:
    """A folder of packed arrays, opened for reading."""

    root: Path

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.model_validate_json(
            (self.root / "manifest.json").read_text(encoding="utf-8")
        )

    def images(self, split: Split) -> NDArray[np.uint8]:
        """Memory-mapped images, uint8 [N, H, W, C]; writes stay in memory, as torch expects."""
        return np.load(self.root / f"{split}.npy", mmap_mode="c")

    def targets(self, split: Split) -> NDArray[Any]:
        """int64 class indices or float32 values in the target's unit, [N]."""
        return np.load(self.root / f"{split}_targets.npy")

    def training_subset(self, labels: Labels, seed: int) -> NDArray[np.int64]:
        """Indices of the training images that a run may use, ascending, [M].

        `labels` images of each class (all of a class that has fewer), chosen by `seed`; or all.
        """
        targets = self.targets("train")
        if labels == "all":
            return np.arange(len(targets))
        order = np.random.default_rng(seed).permutation(len(targets))
        chosen = [order[targets[order] == k][:labels] for k in range(len(self.manifest.classes))]
        return np.sort(np.concatenate(chosen))
