"""Predicted numbers on the page: their errors by size and by band of the target, their intervals.

All at the largest labels setting, on the test images, mean over seeds.
"""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from vision.evaluation import metrics, regression
from vision.evaluation.regression import Coverage
from vision.evaluation.results import Study
from vision.prepared import Split
from vision.reporting.listings import Cell, Table, measure
from vision.reporting.style import INK, WIDTH, canvas, legend, marks, place, shorten, svg
from vision.reporting.words import (
    NOTHING,
    SPACE,
    count,
    percent,
    plural,
    ratio,
    target,
    words,
)

Floats = NDArray[np.floating[Any]]

LEVEL = f"{100 * regression.LEVEL:.0f}{SPACE}%"
CONSTANT: dict[str, Any] = {"color": INK, "ls": (0, (4, 3)), "lw": 1, "alpha": 0.6}
"""How the training median is drawn."""
HEIGHT = 240


@svg
def by_band(study: Study) -> Figure:
    """Mean absolute error of each model in each band of the target, at the band's mean."""
    targets = study.prepared.targets("test")
    parts = regression.bands(targets)

    def means(errors: Floats) -> list[float]:
        return [float(np.abs(errors[..., part]).mean()) for part in parts]

    places = [float(targets[part].mean()) for part in parts]
    figure, axes = _chart(study, 6)
    for name, style in marks(study.kinds).items():
        axes.plot(places, means(_errors(study, name, "test")), **style.line, **style.point)
    axes.plot(places, means(_median_errors(study)), **CONSTANT)
    axes.set_ylim(0)
    axes.set_xlabel(f"True value{_unit(study)}")
    axes.set_ylabel(f"Mean error{_unit(study)}")
    return figure


@svg
def within(study: Study) -> Figure:
    """Share of the test images whose error is no larger than any number: the cumulative score."""
    constant = np.abs(_median_errors(study))
    tolerance = study.params.evaluation.tolerance
    furthest = float(np.quantile(constant, 0.9) or constant.max() or 1.0)
    reach = np.linspace(0, max(furthest, 1.05 * (tolerance or 0.0)), 200)

    def shares(errors: Floats) -> Floats:
        ordered = np.sort(np.abs(errors), axis=None)
        return 100 * np.searchsorted(ordered, reach, side="right") / ordered.size

    figure, axes = _chart(study, 0)
    for name, style in marks(study.kinds).items():
        axes.plot(reach, shares(_errors(study, name, "test")), **style.line)
    axes.plot(reach, shares(constant), **CONSTANT)
    if tolerance is not None:
        axes.axvline(tolerance, color=INK, lw=0.8, alpha=0.6)
    axes.set_ylim(0, 102)
    axes.set_xlim(0, reach[-1])
    axes.set_xlabel(f"Error of at most{_unit(study)}")
    axes.set_ylabel("Test images (%)")
    return figure


def _chart(study: Study, size: float) -> tuple[Figure, Axes]:
    """Axes above a legend of the models and the training median, with marks of this size."""
    styles = marks(study.kinds)
    handles = [Line2D([], [], ms=size, **x.line, **x.point) for x in styles.values()]
    names = [*(shorten(name, 26) for name in styles), "training median"]
    figure = canvas(12 + HEIGHT + 52 + 20 * math.ceil(len(names) / 2))
    legend(figure, [*handles, Line2D([], [], **CONSTANT)], names, 12 + HEIGHT + 52, 2)
    return figure, place(figure, 50, 12, WIDTH - 62, HEIGHT)


def errors(study: Study) -> Table:
    """A line a model, best on validation first, and below them the two constants."""
    say, tolerance = words(study), study.params.evaluation.tolerance
    head = ["Prediction", f"Test {say.name}", "RMSE", "R²", "Of the median's error"]
    if tolerance is not None:
        head.append(f"Within {tolerance:g}{SPACE}{say.unit}".strip())
    targets = study.prepared.targets("test")
    training = study.prepared.targets("train")
    constants = {
        f"always the training {what}": metrics.regression(
            np.full_like(targets, value), targets, training, tolerance
        )
        for what, value in (("median", np.median(training)), ("mean", training.mean()))
    }
    models = {
        name: {
            key.removeprefix("test_"): value
            for key, value in study.row(name, study.labels[0]).items()
            if key.startswith("test_")
        }
        for name in study.ranking(study.labels[0])
    }
    rows = [
        [
            Cell(name, name),
            Cell(say.value(row["mae"]), row["mae"]),
            Cell(say.value(row["rmse"]), row["rmse"]),
            measure("r2", row["r2"], say),
            _share_of_the_medians(row),
            *([] if tolerance is None else [Cell(percent(row["within"]), row["within"])]),
        ]
        for name, row in {**models, **constants}.items()
    ]
    return Table(head, rows, marked=0)


def _share_of_the_medians(row: dict[str, Any]) -> Cell:
    if not row["median_mae"]:
        return Cell(NOTHING, math.inf)
    return Cell(ratio(row["mae"] / row["median_mae"]), row["mae"] / row["median_mae"])


def coverage(study: Study) -> Coverage | None:
    """What the winner's intervals hold of the test images; None where validation is too small."""
    return regression.coverage(
        list(_errors(study, study.winner, "val")),
        list(_errors(study, study.winner, "test")),
        regression.bands(study.prepared.targets("test")),
    )


def bands(study: Study, held: Coverage | None) -> Table:
    """The winner in each band of the target."""
    say, targets = words(study), study.prepared.targets("test")
    found = _errors(study, study.winner, "test")
    head = ["True value", "Test images", say.name.capitalize(), "Too high by, on average"]
    head += [] if held is None else [f"In the {LEVEL} interval"]
    rows = []
    for i, part in enumerate(regression.bands(targets)):
        low, high = float(targets[part].min()), float(targets[part].max())
        size, bias = float(np.abs(found[:, part]).mean()), float(found[:, part].mean())
        rows.append(
            [
                Cell(f"{target(study, low)} to {target(study, high)}", low),
                Cell(count(len(part)), len(part)),
                Cell(say.value(size), size),
                Cell(say.number(bias, True), bias),
                *([] if held is None else [Cell(percent(held.by_band[i]), held.by_band[i])]),
            ]
        )
    return Table(head, rows)


def sentence(study: Study, held: Coverage | None) -> str:
    """How wide the winner's intervals must be, and whether they hold on test."""
    if held is None:
        return "The validation split is too small for intervals around the predictions."
    say = words(study)
    parts = regression.bands(study.prepared.targets("test"))
    worst = parts[int(np.argmin(held.by_band))]
    found = study.prepared.targets("test")[worst]
    low, high = (target(study, float(x)) for x in (found.min(), found.max()))
    ends = f"{low} and {high}{_after(say.unit)}"
    least = f"{100 * min(held.by_band):.0f}{SPACE}%"
    fewest = (
        f"; of {len(parts)} bands of the true value, the fewest, {least}, between {ends}"
        if len(parts) > 1
        else ""
    )
    validation = plural(study.prepared.manifest.counts["val"], "validation image")
    return (
        f"Fitted on {validation}, {study.winner}'s prediction ± {say.value(held.radius)} is to "
        f"hold {LEVEL} of new images. On test it holds {percent(held.share)} (95{SPACE}% interval "
        f"{100 * held.low:.1f} to {100 * held.high:.1f}){fewest}."
    )


def _errors(study: Study, model: str, split: Split) -> Floats:
    """Predictions minus targets, [seeds, N]."""
    outputs = [x.ravel() for x in study.outputs(model, split)]
    return np.array(outputs, np.float64) - study.prepared.targets(split)


def _median_errors(study: Study) -> Floats:
    """Errors on the test images of always predicting the training median, [N]."""
    return np.median(study.prepared.targets("train")) - study.prepared.targets("test")


def _unit(study: Study) -> str:
    unit = study.prepared.manifest.unit
    return f" ({unit})" if unit else ""


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""
