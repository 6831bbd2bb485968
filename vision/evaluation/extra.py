"""How much less a model reaches on a further test set of the user's than on the first."""

from dataclasses import dataclass

from scipy.stats import ttest_ind

from vision.evaluation.comparison import Difference
from vision.evaluation.results import Study


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
    first = study.merits(model, study.labels[0], "test").mean(axis=0)
    outputs = study.extra_outputs(model, name)
    second = study.score.merits(outputs, extra.targets("test")).mean(axis=0)
    value = float(first.mean() - second.mean())
    low, high, p = value, value, float(value == 0)
    if len(first) > 1 and len(second) > 1 and first.var() + second.var() > 0:
        test = ttest_ind(first, second, equal_var=False)
        found = test.confidence_interval(0.95)
        low, high, p = float(found.low), float(found.high), float(test.pvalue)
    sign = 1 if study.score.higher_is_better else -1
    means = sign * float(first.mean()), sign * float(second.mean())
    return Drop(*means, Difference(value, low, high, p))
