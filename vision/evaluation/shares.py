"""Intervals of shares, such as that of right answers: pure functions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri


def share(hits: ArrayLike, trials: ArrayLike) -> NDArray[np.float64]:
    """Hits by trials; 0 where there were no trials. Both may be means over seeds."""
    successes, total = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    return successes / np.where(total > 0, total, 1)


def wilson(hits: ArrayLike, trials: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's 95 % interval of a share (Journal of the American Statistical Association 22, 1927),
    which holds near 0 and 1 too; 0 to 1 where there were no trials. Both may be means over seeds.
    """
    successes, total = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    squared = ndtri(0.975) ** 2
    middle = successes + squared / 2
    found = share(successes, total)
    half = np.sqrt(squared * (total * found * (1 - found) + squared / 4))
    return (middle - half) / (total + squared), (middle + half) / (total + squared)


def unseen(images: int) -> float:
    """The largest share of images that might be so when none of so many is, at 95 % (Clopper and
    Pearson 1934). Draws from images of which none is know nothing of it."""
    return float(1 - 0.025 ** (1 / images))
