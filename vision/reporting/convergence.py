"""How soon each model was nearly as good as it became: a table and curves."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vision.evaluation.convergence import SHARES, course, reached
from vision.evaluation.results import Study
from vision.reporting import scales
from vision.reporting.figures import columns_of, in_unit
from vision.reporting.listings import Cell, Table
from vision.reporting.pairs import NEARLY
from vision.reporting.style import WIDTH, canvas, legend, marks, place, shorten, svg
from vision.reporting.words import NOTHING, SPACE, duration, large, short, words

PANEL = 170


def table(study: Study, labels: str) -> Table:
    """By model and share of the final validation score: epochs, wall time and images."""
    percents = [f"{100 * share:.0f}{SPACE}%" for share in SHARES]
    head = ["Model", *(f"{x}: epochs" for x in percents)]
    head += [f"{x}: time" for x in percents] + [f"{x}: images" for x in percents]
    rows = []
    for model in study.ranking(labels):
        found = reached(study, model, labels)
        if found is None:
            continue
        ends = list(found.values())
        rows.append(
            [
                Cell(model, model),
                *(Cell(short(x.epochs).removesuffix(".0"), x.epochs) for x in ends),
                *(_time(x.seconds) for x in ends),
                *(Cell(large(x.images), x.images) for x in ends),
            ]
        )
    return Table(head, rows)


@svg
def chart(study: Study, labels: str) -> Figure:
    """Validation score of all models against epochs and against time; a mark where 95 % of the
    final score is reached."""
    say, styles, names = words(study), marks(study.kinds), list(study.kinds)
    columns = columns_of(names)
    step = PANEL + 56
    figure = canvas(8 + 2 * step + 20 * math.ceil(len(names) / columns))
    panels = [place(figure, 50, 8 + i * step, WIDTH - 62, PANEL) for i in range(2)]
    for name, style in styles.items():
        mean, found = course(study, name, labels), reached(study, name, labels)
        if found is None:
            continue
        end = found[NEARLY]
        scores = mean["val_score"] * say.factor
        for axes, key, place_of_mark in (
            (panels[0], "epoch", end.epochs),
            (panels[1], "seconds", end.seconds),
        ):
            axes.plot(mean[key], scores, **style.line)
            # the line ends with the seed that stopped first; a time that is missing is on no line
            if place_of_mark <= mean[key].max():
                height = np.interp(place_of_mark, mean[key], scores)
                axes.plot(place_of_mark, height, ms=8, **style.point)
    for axes, name in zip(panels, ("Epoch", "Time since the start"), strict=True):
        axes.set_xlabel(name)
        axes.set_ylabel(f"Validation {say.name}{in_unit(say)}")
    panels[0].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if panels[1].lines and any(np.isfinite(x.get_xdata()).any() for x in panels[1].lines):
        scales.times(panels[1])
    handles = [Line2D([], [], ms=7, **style.line, **style.point) for style in styles.values()]
    legend(figure, handles, [shorten(x, 57 // columns) for x in names], 8 + 2 * step, columns)
    return figure


def _time(seconds: float) -> Cell:
    return Cell(NOTHING, 0.0) if math.isnan(seconds) else Cell(duration(seconds), seconds)
