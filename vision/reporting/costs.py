"""Chart of what a better result costs, in time and in size."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vision.evaluation import cost
from vision.evaluation.results import Study
from vision.reporting import scales
from vision.reporting.figures import columns_of, in_unit
from vision.reporting.style import INK, WIDTH, canvas, legend, marks, place, shorten, svg
from vision.reporting.words import words

NAMES = {
    "seconds": "Training time of one run",
    "seconds_per_image": "Time per image",
    "parameters": "Parameters",
    "multiply_adds": "Multiply-adds per image",
}
PANEL = 150
STEP = PANEL + 62


@svg
def chart(study: Study) -> Figure:
    """Test score against each cost, log scales; a dashed line along what no model beats on both."""
    names = list(study.kinds)
    columns = columns_of(names)
    figure = canvas(8 + 2 * STEP + 20 * math.ceil(len(names) / columns))
    width = (WIDTH - 48 - 8) / 2 - 12
    for i, name in enumerate(cost.COSTS):
        axes = place(figure, 48 + (i % 2) * (width + 24), 8 + (i // 2) * STEP, width, PANEL)
        _panel(axes, study, name)
        if i % 2:
            axes.tick_params(labelleft=False)
    styles = marks(study.kinds)
    handles = [Line2D([], [], ls="", ms=8, **styles[name].point) for name in names]
    legend(figure, handles, [shorten(x, 57 // columns) for x in names], 8 + 2 * STEP, columns)
    return figure


def best_value(study: Study, name: str) -> list[str]:
    """The models that no other beats on both this cost and the test score, cheapest first."""
    known = {
        model: costs[name]
        for model in study.kinds
        if (costs := cost.costs(study, model, study.labels[0]))[name] > 0
    }
    rows = study.summary.xs(study.labels[0], level="labels").loc[list(known)]
    merit = -study.score.best_first(rows[f"test_{study.score.key}"]).to_numpy(float)
    kept = cost.front(np.array(list(known.values())), merit)
    return sorted((x for x, keep in zip(known, kept, strict=True) if keep), key=lambda x: known[x])


def _panel(axes: Axes, study: Study, name: str) -> None:
    say, key, styles = words(study), f"test_{study.score.key}", marks(study.kinds)
    axes.set_xscale("log")
    points = {}
    for model in study.kinds:
        row, x = study.row(model, study.labels[0]), cost.costs(study, model, study.labels[0])[name]
        y, spread = row[key] * say.factor, row[f"{key}_std"] * say.factor
        style = styles[model]
        if x > 0:
            axes.plot([x, x], [y - spread, y + spread], color=style.colour, lw=1.6, alpha=0.7)
            axes.plot(x, y, ms=8, **style.point)
            points[model] = (x, y)
    kept = np.array([points[model] for model in best_value(study, name)]).reshape(-1, 2)
    axes.step(kept[:, 0], kept[:, 1], where="post", color=INK, alpha=0.35, lw=1, ls="--")
    axes.margins(0.12)
    (scales.times if name.startswith("seconds") else scales.numbers)(axes, 4)
    axes.set_xlabel(NAMES[name])
    if name in ("seconds", "parameters"):
        axes.set_ylabel(f"Test {say.name}{in_unit(say)}")
