"""Every two models side by side, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from vision.evaluation.comparison import Difference
from vision.evaluation.convergence import reached
from vision.evaluation.results import Study
from vision.reporting.listings import Cell, Table
from vision.reporting.words import NOTHING, SPACE, ratio, words

NEARLY = 0.95
"""The share of the final validation score at which a model is nearly as good as it becomes."""
SPEED = "inference_images_per_second"


def table(study: Study, labels: str) -> Table:
    """Each pair at a labels setting, the better one on validation first; the pair that validation
    named leads."""
    say = words(study)
    head = ["Model", "against", "is", "by", f"95{SPACE}% interval", "p"]
    head += ["Training time", f"Time to {100 * NEARLY:.0f}{SPACE}%", "Time per image"]
    planned = study.planned(labels)
    pairs = study.pairs(labels)
    pairs.sort(key=lambda pair: (pair.first, pair.second) != planned)
    rows = []
    for pair in pairs:
        gap, times = pair.difference, time_ratios(study, pair.first, pair.second, labels)
        rows.append(
            [
                Cell(pair.first, pair.first),
                Cell(pair.second, pair.second),
                Cell(judgement(gap), judgement(gap)),
                Cell(f"{say.number(gap.value, True)} {say.step}".strip(), gap.value),
                Cell(say.interval(gap), gap.low),
                Cell(p_text(gap.p), gap.p),
                *(_times(x) for x in (times.training, times.nearly, times.image)),
            ]
        )
    return Table(head, rows, marked=0)


def judgement(gap: Difference) -> str:
    """What a test says of the first model, in words."""
    if not gap.clear:
        return "not clearly different"
    return "better" if gap.value > 0 else "worse"


@dataclass(frozen=True)
class Ratios:
    """How many times as long the first model of a pair takes; nothing where there is no time."""

    training: float | None = None
    nearly: float | None = None
    """Until NEARLY so much of its final validation score was reached."""
    image: float | None = None
    training_by_seed: Sequence[float] = ()
    image_by_seed: Sequence[float] = ()


def time_ratios(study: Study, first: str, second: str, labels: str) -> Ratios:
    """Of two models that ran on the same hardware; on different hardware, none."""
    if len(study.devices(first, second)) > 1:
        return Ratios()
    a, b = study.row(first, labels), study.row(second, labels)
    one, other = reached(study, first, labels), reached(study, second, labels)
    results = zip(study.of(first, labels), study.of(second, labels), strict=True)
    costs = [(x.cost, y.cost) for x, y in results]
    return Ratios(
        training=_ratio(a["seconds"], b["seconds"]),
        nearly=_ratio(one[NEARLY].seconds, other[NEARLY].seconds) if one and other else None,
        image=_ratio(b[SPEED], a[SPEED]),
        training_by_seed=_ratios([(x["seconds"], y["seconds"]) for x, y in costs]),
        image_by_seed=_ratios([(y[SPEED], x[SPEED]) for x, y in costs]),
    )


def p_text(value: float) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if numerator > 0 and denominator > 0 else None


def _ratios(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return [found for pair in pairs if (found := _ratio(*pair)) is not None]


def _times(value: float | None) -> Cell:
    """What cannot be compared sorts first."""
    return Cell(NOTHING, 0.0) if value is None else Cell(ratio(value), value)
