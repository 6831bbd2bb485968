"""Which models are better than which on the same images, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TypeVar

import numpy as np

from vision.evaluation import bootstrap
from vision.evaluation.bootstrap import Floats, Seeds
from vision.evaluation.shares import unseen, wilson

Key = TypeVar("Key")

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another on the same images, in the score's own unit."""

    value: float
    """Positive where the first is better."""
    low: float
    high: float
    """The 95 % interval of this pair by itself."""
    p: float
    """Of no difference; corrected for the number of pairs where many are tested at once."""

    @property
    def clear(self) -> bool:
        """Whether both the test and the interval rule out that the two are equal."""
        return self.p < SIGNIFICANT and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Pair:
    first: str
    second: str
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """The models of a study at one labels setting, on the images of one split."""

    merits: Mapping[str, Floats]
    """By model what each image adds to its score, more is better, [seeds, N]."""
    answers: bool
    """Whether an image is simply right (1) or wrong (0)."""

    @cached_property
    def draws(self) -> dict[str, Floats]:
        """By model its mean merit in each draw of the images."""
        found = bootstrap.images(list(self.merits.values()))
        return dict(zip(self.merits, found, strict=True))

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """By model the 95 % interval of its mean merit, over seeds and images together."""
        return {model: self._interval(model) for model in self.merits}

    def difference(self, first: str, second: str) -> Difference:
        """Compare two models, as a pair by itself.

        Interval and p-value come from the bootstrap over seeds and images. A single seed has
        McNemar's exact test of its answers instead, or Student's of its errors. Over several seeds
        these would speak of the trained networks at hand, and not of what training them again
        would give (Dietterich 1998; Bouthillier et al. 2021, "Accounting for variance in machine
        learning benchmarks"). Draws from few images know nothing of others: no p-value is below
        that of as many coins, one for each image on which the two differ, that fall alike.
        """
        a, b = self.merits[first], self.merits[second]
        draws, seeds = self.draws[first] - self.draws[second], Seeds.of(a, b)
        low, high = bootstrap.interval(draws, seeds)
        gaps = a.mean(axis=0) - b.mean(axis=0)
        if self.answers and np.ptp(gaps) == 0:
            few = unseen(len(gaps))
            low, high = min(low, gaps[0] - few), max(high, gaps[0] + few)
        if self.answers:  # Student's t knows no bounds, least of all that of two seeds
            low, high = max(low, -1.0), min(high, 1.0)
        if len(a) > 1 or len(b) > 1:
            p = bootstrap.p_value(draws, seeds)
        elif self.answers:
            p = bootstrap.mcnemar(a[0] > 0, b[0] > 0)
        else:
            p = bootstrap.paired_t(a[0], b[0])
        p = max(p, min(1.0, 2 * 0.5 ** np.count_nonzero(gaps)))
        return Difference(float(a.mean() - b.mean()), low, high, p)

    def pairs(self, order: list[str], planned: tuple[str, str] | None) -> list[Pair]:
        """Every pair of these models, with p-values corrected after Holm.

        Args:
            order: the models; of each pair the earlier one is the first.
            planned: the pair that was named before the images were looked at. It is one question
                by itself and needs no correction; the others are looked at all at once.
        """
        found = {pair: self.difference(*pair) for pair in combinations(order, 2)}
        others = _corrected({pair: gap for pair, gap in found.items() if pair != planned})
        return [Pair(*pair, gap) for pair, gap in (found | others).items()]

    def against(self, baseline: str, models: list[str]) -> dict[str, Difference]:
        """How much better each model is than a baseline, corrected after Holm."""
        return _corrected({name: self.difference(name, baseline) for name in models})

    def _interval(self, model: str) -> tuple[float, float]:
        merits = self.merits[model]
        low, high = bootstrap.interval(self.draws[model], Seeds.of(merits))
        if not self.answers:
            return low, min(high, 0.0)  # merits of numbers are errors, negated
        # few mistakes, or few right answers, are too few to draw from
        least, most = wilson(merits.mean(axis=0).sum(), merits.shape[1])
        return max(min(low, float(least)), 0.0), min(max(high, float(most)), 1.0)


def _corrected(found: dict[Key, Difference]) -> dict[Key, Difference]:
    p_values = bootstrap.holm([gap.p for gap in found.values()])
    return {x: replace(found[x], p=p) for x, p in zip(found, p_values, strict=True)}
