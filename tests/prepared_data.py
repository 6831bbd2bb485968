"""Small prepared data sets that a network can learn."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from vision.packing import pack
from vision.params import Data
from vision.prepared import Prepared
from vision.sources.record import Record


def bright_or_dark(root: Path, samples: int = 120, size: int = 12, channels: int = 3) -> Prepared:
    """Two classes of noise images: bright ones and dark ones."""
    return _packed(root, samples, size, channels, lambda bright: "bright" if bright else "dark")


def brightness(root: Path, samples: int = 120, size: int = 12) -> Prepared:
    """Noise images whose target, a number from 20 to 80, is how bright they are."""
    return _packed(root, samples, size, 3, None)


def noise(root: Path, samples: int = 120, size: int = 12) -> Prepared:
    """Two classes of which nothing can be learned: noise of the same kind."""
    return _packed(root, samples, size, 3, lambda odd: "odd" if odd else "even", (50.0, 50.0))


def _packed(
    root: Path,
    samples: int,
    size: int,
    channels: int,
    name: Any,
    levels: tuple[float, float] = (30.0, 70.0),
) -> Prepared:
    random = np.random.default_rng(0)
    task: Literal["classification", "regression"] = "classification" if name else "regression"
    records = []
    for i in range(samples):
        level = float(random.uniform(20, 80)) if name is None else levels[i % 2]
        shape = (size, size, channels) if channels == 3 else (size, size)
        pixels = np.clip(random.normal(level * 2.55, 20, shape), 0, 255).astype(np.uint8)
        target = level if name is None else name(i % 2)
        records.append(Record(name=f"{i:04d}", split=None, target=target, image=pixels))
    data = Data(source="folder", path="x", task=task, unit="" if name else "points")
    root.mkdir(parents=True, exist_ok=True)
    pack(iter(records), data, root)
    return Prepared(root)
