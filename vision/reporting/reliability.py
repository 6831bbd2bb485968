"""Calibration on the page: reliability diagrams, the table, and what they say of the winner."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vision.evaluation import calibration
from vision.evaluation.calibration import Calibration
from vision.evaluation.results import Study
from vision.reporting.listings import Cell, Table
from vision.reporting.style import INK, WIDTH, Mark, canvas, marks, place, shorten, svg
from vision.reporting.words import SPACE, percent, plural, short

COLUMNS = 3
SHOWN = 9
"""Models that have a diagram, the best on validation first."""
ENOUGH = 10
"""Predictions that a bin must hold for a line to show its distance from the diagonal."""


@svg
def diagrams(study: Study) -> Figure:
    """Accuracy against confidence, a panel a model, its seeds together; at the largest setting.

    A dot is a bin of `calibration.bins`, its area the bin's share of the test images.
    """
    styles, names = marks(study.kinds), study.ranking(study.labels[0])[:SHOWN]
    targets = study.prepared.targets("test")
    gap, left = 20, 44
    side = (WIDTH - left - 10 - gap * (COLUMNS - 1)) / COLUMNS
    step = side + 46
    rows = math.ceil(len(names) / COLUMNS)
    figure = canvas(rows * step + 22)
    for i, name in enumerate(names):
        column, row = i % COLUMNS, i // COLUMNS
        axes = place(figure, left + column * (side + gap), 22 + row * step, side, side)
        axes.set_title(shorten(name, 18), weight="bold", size=11)
        _diagram(axes, study.outputs(name, "test"), targets, styles[name])
        axes.tick_params(labelleft=column == 0)
        if i + COLUMNS >= len(names):
            axes.set_xlabel("Confidence (%)")
        if column == 0:
            axes.set_ylabel("Accuracy (%)")
    return figure


def _diagram(
    axes: Axes, outputs: Sequence[NDArray[Any]], targets: NDArray[np.int64], style: Mark
) -> None:
    found = calibration.bins_over_seeds(outputs, targets)
    filled = found.counts > 0
    x, y = 100 * found.confidence[filled], 100 * found.accuracy[filled]
    share = found.counts[filled] / found.counts.sum()
    axes.plot([0, 100], [0, 100], color=INK, lw=1, ls=(0, (4, 3)), alpha=0.6)
    many = found.counts[filled] >= ENOUGH
    axes.vlines(x[many], x[many], y[many], color=style.colour, lw=1.4, alpha=0.6)
    axes.scatter(x, y, s=10 + 190 * share, color=style.colour, alpha=0.8, lw=0, clip_on=False)
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])


def measures(study: Study) -> dict[str, Calibration]:
    """Every model's calibration at the largest labels setting, the best on validation first."""
    targets = study.prepared.targets("val"), study.prepared.targets("test")
    return {
        name: calibration.measure(
            study.outputs(name, "val"), targets[0], study.outputs(name, "test"), targets[1]
        )
        for name in study.ranking(study.labels[0])
    }


def table(found: dict[str, Calibration]) -> Table:
    """A line a model: before and after temperature scaling."""
    head = ["Model", "Accuracy", "Mean confidence", "ECE", f"95{SPACE}% interval"]
    head += ["Brier score", "Loss", "Temperature", "ECE with it", "Loss with it"]
    rows = [
        [
            Cell(name, name),
            Cell(percent(row.accuracy), row.accuracy),
            Cell(percent(row.confidence), row.confidence),
            Cell(percent(row.ece), row.ece),
            Cell(f"{100 * row.ece_low:.1f} to {100 * row.ece_high:.1f}", row.ece_low),
            _decimals(row.brier),
            _decimals(row.loss),
            Cell(_temperature(row), row.temperature),
            Cell(percent(row.scaled_ece), row.scaled_ece),
            _decimals(row.scaled_loss),
        ]
        for name, row in found.items()
    ]
    return Table(head, rows, marked=0)


def sentence(winner: str, found: Calibration) -> str:
    """What the winner's calibration is, and what a temperature does to it."""
    sure = f"{winner} is on average {percent(found.confidence)} sure of its answers"
    right = f"right on {percent(found.accuracy)} of the test images"
    if found.ece_low == 0:
        verdict = "no more apart than chance could bring them"
    elif found.confidence > found.accuracy_high:
        verdict = "it is too sure of itself"
    elif found.confidence < found.accuracy_low:
        verdict = "it could be surer of itself"
    else:
        verdict = "as sure as it should be on the whole, but not at each level of confidence"
    said = f"{sure} and {right}: {verdict}."
    if not found.fitted:
        return f"{said} It made no mistake on validation, so no temperature could be fitted."
    before, after = (f"{100 * x:.1f}" for x in (found.ece, found.scaled_ece))
    change = (
        f"brings its ECE on test from {before} to {after}{SPACE}%"
        if after != before
        else f"leaves its ECE on test at {before}{SPACE}%"
    )
    part = (
        f" (of {found.fitted} of {plural(found.seeds, 'seed')}; the others made no mistake there)"
        if found.fitted < found.seeds
        else ""
    )
    return (
        f"{said} Dividing its logits by {short(found.temperature)}, fitted on validation{part}, "
        f"{change}."
    )


def _temperature(row: Calibration) -> str:
    if not row.fitted:
        return "not fitted"
    part = f" ({row.fitted} of {plural(row.seeds, 'seed')})" if row.fitted < row.seeds else ""
    return f"{row.temperature:.2f}{part}"


def _decimals(value: float) -> Cell:
    return Cell(f"{value:.3f}", value)
