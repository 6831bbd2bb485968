"""How much less a model reaches on a further test set of the user's than on the first."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_ind

from vision.evaluation.comparison import Difference
from vision.evaluation.results import ACCURACY, Study


@dataclass(frozen=True)
class Drop:
    """A model's score on both sets, mean over seeds, and how far the second falls behind."""

    first: float
    second: float
    difference: Difference
    """Positive where the second is worse."""


def drop(study: Study, name: str, model: str) -> Drop:
    """Compare a model on the further test set `name` with the study's own, at the largest setting.

    The 95 % interval is Welch's, for two independent samples of images: it is of these trained
    models, and of new images like those of either set.
    """
    extra = study.extra(name)
    first = _merits(study, study.outputs(model, "test"), study.prepared.targets("test"))
    second = _merits(study, study.extra_outputs(model, name), extra.targets("test"))
    value = float(first.mean() - second.mean())
    low, high, p = value, value, float(value == 0)
    if len(first) > 1 and len(second) > 1 and first.var() + second.var() > 0:
        test = ttest_ind(first, second, equal_var=False)
        found = test.confidence_interval(0.95)
        low, high, p = float(found.low), float(found.high), float(test.pvalue)
    sign = 1 if study.score.higher_is_better else -1
    means = sign * float(first.mean()), sign * float(second.mean())
    return Drop(*means, Difference(value, low, high, p))


def _merits(
    study: Study, outputs: list[NDArray[np.float32]], targets: NDArray[Any]
) -> NDArray[np.float64]:
    """What each image adds to the score, more is better, mean over seeds, [N]."""
    if study.score is ACCURACY:
        return np.mean([x.argmax(axis=1) == targets for x in outputs], axis=0)
    return np.mean([-np.abs(x.ravel() - targets) for x in outputs], axis=0)
