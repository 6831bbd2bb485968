"""How far predicted numbers can be believed: pure functions from errors to intervals and bands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.evaluation.shares import wilson

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

LEVEL = 0.9
"""Share of images that an interval is to hold."""
MOST = 10
"""Bands of the target."""
LEAST = 20
"""Test images in a band, where there are enough for more than one."""


@dataclass(frozen=True)
class Coverage:
    """What a model's intervals hold of the test images, mean over seeds."""

    radius: float
    """Half an interval's width, in the target's unit."""
    share: float
    low: float
    high: float
    """Wilson's 95 % interval of `share`, over the choice of test images."""
    by_band: list[float]


def radius(errors: Floats) -> float | None:
    """How far around a prediction an interval reaches so that it holds LEVEL of new images.

    Split conformal prediction (arXiv 1604.04173, algorithm 2): of n absolute validation errors,
    the one of rank ceil((n + 1) LEVEL). This holds at its level whatever the errors' distribution,
    as long as new images are like those of validation, by which the epoch was chosen.

    Args:
        errors: predictions minus targets on validation, [n].

    Returns:
        In the target's unit; None where n is below 9, too few for any such interval.
    """
    rank = math.ceil((len(errors) + 1) * LEVEL)
    if rank > len(errors):
        return None
    return float(np.sort(np.abs(errors))[rank - 1])


def coverage(
    validation: Sequence[Floats], test: Sequence[Floats], parts: Sequence[Indices]
) -> Coverage | None:
    """Fit intervals on validation and see what they hold of the test images.

    Args:
        validation: predictions minus targets by seed, [M] each.
        test: the same on the test images, [N] each.
        parts: the test images of each band.

    Returns:
        None where validation has too few images.
    """
    radii = [radius(errors) for errors in validation]
    fitted = [reach for reach in radii if reach is not None]
    if not fitted:
        return None
    inside = np.mean([np.abs(e) <= reach for e, reach in zip(test, fitted, strict=True)], axis=0)
    low, high = wilson(inside.sum(), len(inside))
    return Coverage(
        radius=float(np.mean(fitted)),
        share=float(inside.mean()),
        low=float(low),
        high=float(high),
        by_band=[float(inside[part].mean()) for part in parts],
    )


def bands(targets: Floats) -> list[Indices]:
    """The images of each band of the target, from the smallest to the largest targets.

    Bands hold about as many images each, MOST bands at most; equal targets share a band.
    """
    count = min(MOST, max(1, len(targets) // LEAST))
    edges = np.unique(np.quantile(targets, np.arange(1, count) / count))
    place = np.searchsorted(edges, targets, side="right")
    return [np.flatnonzero(place == i) for i in np.unique(place)]
