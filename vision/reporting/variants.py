"""What each change to the baseline did: a table and a chart."""

import math

from matplotlib.figure import Figure

from vision.evaluation.results import Study
from vision.evaluation.variants import Variant, variants
from vision.reporting.listings import Cell, Table
from vision.reporting.pairs import judgement, p_text
from vision.reporting.style import INK, WIDTH, canvas, longest, marks, place, shorten, svg
from vision.reporting.words import NOTHING, SPACE, Words, words

ROW = 25
"""Height of a variant, in pixels."""


def table(study: Study) -> Table:
    """Each variant, best on validation first, and how far it is from the baseline."""
    say = words(study)
    head = ["Variant", f"Validation {say.name}", "Than the baseline", "by", "± over seeds"]
    head += [f"95{SPACE}% interval", "p", "What changed"]
    rows = []
    for x in variants(study):
        gap, changed = x.difference, "; ".join(x.changes) or "nothing"
        score = study.row(x.model, study.labels[0])[f"val_{study.score.key}"]
        rows.append(
            [
                Cell(x.model, x.model),
                Cell(say.value(score), score),
                Cell(judgement(gap), judgement(gap)),
                Cell(f"{say.number(gap.value, True)} {say.step}".strip(), gap.value),
                _spread(x.spread, say),
                Cell(say.interval(gap), gap.low),
                Cell(p_text(gap.p), gap.p),
                Cell(changed, changed),
            ]
        )
    return Table(head, rows)


@svg
def chart(study: Study, found: list[Variant]) -> Figure:
    """Difference of each variant from the baseline on validation, with its interval."""
    say, styles = words(study), marks(study.kinds)
    names = [shorten(x.model, 30) for x in found]
    left = 14 + longest(names)
    figure = canvas(6 + ROW * len(found) + 40)
    axes = place(figure, left, 6, WIDTH - left - 12, ROW * len(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_yticks(range(len(found)), names)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color=INK, lw=1, ls=(0, (4, 3)), alpha=0.6)
    for y, x in enumerate(found):
        gap, style = x.difference, styles[x.model]
        ends = [gap.low * say.factor, gap.high * say.factor]
        axes.plot(ends, [y, y], color=style.colour, lw=2.4, alpha=0.75)
        axes.plot(gap.value * say.factor, y, ms=8, **style.point)
    unit = f" ({say.step})" if say.step else ""
    axes.set_xlabel(f"Better than the baseline on validation{unit}")
    return figure


def _spread(value: float, say: Words) -> Cell:
    """A single seed has none."""
    return Cell(NOTHING, 0.0) if math.isnan(value) else Cell(say.number(value), value)
