"""At how many labels a class the lead passes from the best transfer model to the best from scratch,
or the other way."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vision.evaluation import bootstrap
from vision.evaluation.bootstrap import Floats, Seeds
from vision.evaluation.results import ACCURACY, Kind, Study


@dataclass(frozen=True)
class Crossing:
    """Between the curves of the best of each kind, chosen on validation at each setting."""

    settings: int
    """Labels settings that differ in how many labels there are."""
    range: tuple[float, float]
    """The fewest and the most labels a class in the study."""
    first: Kind | None
    """Who leads at the fewest labels; nobody where the curves are the same."""
    places: list[float]
    """Labels a class at which the lead passes over, ascending."""
    low: float
    high: float
    """The 95 % interval of a single place: 0 or infinity where it reaches beyond the range. Nan
    unless there is one place."""
    clear: int
    """At how many settings the difference is clear, corrected for their number."""


def labels_a_class(study: Study, labels: str) -> float:
    """A labels setting as a number: how many a class has on average, where classes that hold fewer
    give all that they have."""
    counts = study.prepared.manifest.class_counts["train"]
    return float(np.mean(counts if labels == "all" else np.minimum(counts, int(labels))))


def crossing(study: Study) -> Crossing | None:
    """Nothing for a study of one number of labels, of one kind of models, or of numbers to predict.

    Curves are lines between settings, over the logarithm of the labels. The interval is that of
    vision.evaluation.bootstrap: each draw takes the same test images at every setting, and moves
    the curves by the seeds' luck at each.
    """
    if len(study.labels) < 2 or len(set(study.kinds.values())) < 2 or study.score is not ACCURACY:
        return None
    settings = _different(study)
    if len(settings) < 2:
        return None
    places = np.log([labels_a_class(study, x) for x in settings])
    pairs = [(study.best(x, "transfer"), study.best(x, "scratch")) for x in settings]
    merits = [
        (study.merits(a, x, "test"), study.merits(b, x, "test"))
        for (a, b), x in zip(pairs, settings, strict=True)
    ]
    lead = np.array([a.mean() - b.mean() for a, b in merits])
    found, falls = crossings(places, lead), bool(_ahead(lead)[0])
    low = high = np.nan
    if len(found) == 1:
        drawn = bootstrap.images([x for pair in merits for x in pair])
        generator = np.random.default_rng(1)
        leads = drawn[0::2] - drawn[1::2]
        leads += [Seeds.of(*pair).draws(generator, drawn.shape[1]) for pair in merits]
        spread = [_nearest(places, draw, found[0], falls) for draw in leads.T]
        tails = (1 - bootstrap.LEVEL) / 2, (1 + bootstrap.LEVEL) / 2
        low, high = np.exp(np.quantile(spread, tails, method="inverted_cdf"))
    gaps = [study.difference(*pair, x) for pair, x in zip(pairs, settings, strict=True)]
    corrected = bootstrap.holm([gap.p for gap in gaps])
    first: Kind = "transfer" if falls else "scratch"
    return Crossing(
        settings=len(settings),
        range=(float(np.exp(places[0])), float(np.exp(places[-1]))),
        first=first if lead.any() else None,
        places=[float(np.exp(x)) for x in found],
        low=float(low),
        high=float(high),
        clear=sum(replace(gap, p=p).clear for gap, p in zip(gaps, corrected, strict=True)),
    )


def _different(study: Study) -> list[str]:
    """The labels settings, ascending; of those that come to the same labels, the smallest."""
    found = {labels_a_class(study, x): x for x in study.labels}
    return [found[x] for x in sorted(found)]


def crossings(places: Floats, lead: Floats) -> NDArray[np.float64]:
    """Where a line through points changes sign, ascending.

    Args:
        places, lead: x, ascending, and y of the points, [K].
    """
    changes = np.flatnonzero(np.diff(_ahead(lead)))
    share = lead[changes] / (lead[changes] - lead[changes + 1])
    found: NDArray[np.float64] = places[changes] + share * np.diff(places)[changes]
    return found


def _ahead(lead: Floats) -> NDArray[np.bool_]:
    """Where it is above zero, [K]; a zero is no change, and is on the side of the one before it, or
    of the first that has a side."""
    sides = np.flatnonzero(lead)
    if not len(sides):
        return np.zeros(len(lead), dtype=bool)
    before = np.searchsorted(sides, np.arange(len(lead)), side="right") - 1
    ahead: NDArray[np.bool_] = lead[sides[before.clip(0)]] > 0
    return ahead


def _nearest(places: Floats, lead: Floats, place: float, falls: bool) -> float:
    """The change of sign nearest to `place` that goes the same way, or, where there is none, minus
    or plus infinity: before or beyond the range."""
    changes = crossings(places, lead)
    first, *_, last = _ahead(lead)
    alike = changes[0 if first == falls else 1 :: 2]
    if len(alike):
        return float(alike[np.argmin(np.abs(alike - place))])
    return np.inf if last == falls else -np.inf
