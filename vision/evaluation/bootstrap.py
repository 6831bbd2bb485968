"""How sure a mean over seeds and test images is: a hierarchical bootstrap.

Two things are luck: which images the test split holds, and which seeds the trainings had. Each
draw takes the images anew, with replacement and the same for all models (Efron 1979), and moves
the mean by the seeds' standard error times Student's t. The seeds' level is parametric, since a
handful is too few to draw from: three drawn with replacement have two thirds of the variance, and
never leave the three (Davison and Hinkley 1997, section 3.8). What a seed and an image make
together counts at both levels, so that intervals are a little too wide rather than too narrow; no
bootstrap of two crossed factors is exact (Owen 2007, "The pigeonhole bootstrap"). The seeds of two
models make one error with Welch and Satterthwaite's degrees of freedom. With a single seed only
the images are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, stdtr, stdtrit
from scipy.stats import binomtest, ttest_rel

Floats = NDArray[np.floating[Any]]

DRAWS = 4999
"""The ends of a 95 % interval then stand to about a hundredth of its width."""
LEVEL = 0.95
ROUNDING = 1e-12
"""Of a mean: seeds that lie no further apart than this share of it are equal."""
COUNTED = 10
"""Draws beyond zero, at least, whose share says how probable it is."""
CHUNK = 2**22
"""Counts held in memory at a time."""


@dataclass(frozen=True)
class Seeds:
    """What the luck of the seeds adds to a mean, or to the difference of two."""

    error: float
    """Its standard error; 0 for a single seed."""
    freedom: float
    """Degrees of freedom of Student's t."""

    @classmethod
    def of(cls, *merits: Floats) -> "Seeds":
        """Of one model, or of the difference of two (merits as in `images`)."""
        many = [x for x in merits if len(x) > 1]
        parts = np.array([x.mean(axis=1).var(ddof=1) / len(x) for x in many])
        error = float(parts.sum() ** 0.5)
        if error <= ROUNDING * max((float(np.abs(x).mean()) for x in many), default=0.0):
            return cls(0.0, np.inf)
        freedom = parts.sum() ** 2 / np.sum(parts**2 / [len(x) - 1 for x in many])
        return cls(error, float(freedom))

    def draws(self, generator: np.random.Generator, count: int) -> Floats:
        """So many draws of it, [count]."""
        if self.error == 0:
            return np.zeros(count)
        return self.error * generator.standard_t(self.freedom, count)


def images(merits: Sequence[Floats], draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Draw each model's mean as it might have been on other images.

    Args:
        merits: for each model what each image adds to its score, [seeds, N]; the same N images.
        draws: how many.
        seed: the same seed gives the same draws.

    Returns:
        [models, draws].
    """
    generator = np.random.default_rng(seed)
    centre = np.stack([x.mean(axis=0) for x in merits], axis=1)
    # images on which all models did the same are one kind: kinds are far fewer than images
    kinds, sizes = np.unique(centre, axis=0, return_counts=True)
    total = int(sizes.sum())
    found = np.empty((len(merits), draws))
    step = max(1, CHUNK // len(sizes))
    for start in range(0, draws, step):
        here = min(step, draws - start)
        counts = generator.multinomial(total, sizes / total, here)
        found[:, start : start + here] = (counts @ kinds / total).T
    return found


def interval(drawn: Floats, seeds: Seeds) -> tuple[float, float]:
    """The middle 95 % of what the mean might have been (percentile interval).

    What the seeds add is not drawn but taken from its distribution, so that it adds no noise.

    Args:
        drawn: from `images`, of a model or of the difference of two, [draws].
    """
    tails = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    if seeds.error == 0:
        low, high = np.quantile(drawn, tails)
        return float(low), float(high)
    reach = 1.01 * seeds.error * stdtrit(seeds.freedom, tails)
    ends = float(drawn.min() + reach[0]), float(drawn.max() + reach[1])
    low, high = (
        brentq(partial(_above, tail, drawn, seeds), *ends, xtol=1e-4 * seeds.error)
        for tail in tails
    )
    return float(low), float(high)


def share_below(value: float, drawn: Floats, seeds: Seeds) -> float:
    """How probable a mean below `value` is, 0..1; for seeds that add something."""
    return float(np.mean(stdtr(seeds.freedom, (value - drawn) / seeds.error)))


def p_value(drawn: Floats, seeds: Seeds) -> float:
    """Of no difference, two-sided: twice the share of the draws beyond zero, on the side that has
    fewer (the level at which the percentile interval begins to hold zero).

    Draws that are too few to count give the normal distribution's tail: one in some thousand is too
    coarse a step where many pairs are compared.
    """
    if seeds.error:
        below = share_below(0.0, drawn, seeds)
        return 2 * min(below, 1 - below)
    beyond = min(np.sum(drawn <= 0), np.sum(drawn >= 0))
    if beyond < COUNTED and drawn.std() > 0:
        return float(2 * ndtr(-abs(drawn.mean()) / drawn.std()))
    return min(1.0, 2 * float(beyond + 1) / (len(drawn) + 1))


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """McNemar's exact p-value of two models being right equally often on the same images: the
    images on which one alone is right are tossed coins (McNemar 1947).

    Args:
        first, second: where each is right, [N].
    """
    alone, other = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return float(binomtest(alone, alone + other).pvalue) if alone + other else 1.0


def paired_t(first: Floats, second: Floats) -> float:
    """The p-value of Student's t-test that two models' numbers on the same images have one mean; 1
    where the images are too few, or the numbers the same.

    Args:
        first, second: one number an image, [N].
    """
    if len(first) < 2 or np.array_equal(first, second):
        return 1.0
    return float(ttest_rel(first, second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being many (Holm 1979): the smallest times their number, the next
    times one less, and so on, none below the one before."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    corrected = np.empty_like(raised)
    corrected[order] = raised
    return [float(x) for x in corrected]


def _above(share: float, drawn: Floats, seeds: Seeds, value: float) -> float:
    return share_below(value, drawn, seeds) - share
