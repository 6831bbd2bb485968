"""Charts of a study's results: each function returns one figure as SVG text."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from vision.evaluation.convergence import course
from vision.evaluation.crossing import Crossing, labels_a_class
from vision.evaluation.results import ACCURACY, Study
from vision.reporting.style import (
    INK,
    WIDTH,
    Mark,
    canvas,
    legend,
    longest,
    marks,
    place,
    shorten,
    svg,
)
from vision.reporting.words import Words, labels_name, words

ROW = 25
"""Height of one line of a list of models, in pixels."""
COLUMNS = 2
"""Small multiples side by side."""
UNIT = 6
"""A longer unit stands at the axis alone."""
DOTS = 1500
"""Test images in a scatter."""


@svg
def comparison(study: Study) -> Figure:
    """Test score of each model, a panel a labels setting; seeds light, mean and spread bold."""
    say, key, styles = words(study), f"test_{study.score.key}", marks(study.kinds)
    order = study.ranking(study.labels[0])
    several = len(study.labels) > 1
    panel = ROW * len(order)
    above = 24 if several else 6
    figure = canvas(len(study.labels) * (above + panel + 34) + 10)
    names = [shorten(name, 22) for name in order]
    beside = say if len(say.unit) <= UNIT else replace(say, unit="")
    texts = {
        index: beside.value(row[key], row[f"{key}_std"]) for index, row in study.summary.iterrows()
    }
    left, right = 14 + longest(names), 12 + longest(texts.values())
    for i, labels in enumerate(study.labels):
        top = above + i * (above + panel + 34)
        axes = place(figure, left, top, WIDTH - left - right, panel)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_yticks(range(len(order)), names)
        axes.get_yticklabels()[0].set_fontweight("bold" if i == 0 else "normal")
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        if several:
            axes.set_title(
                labels_name(labels).capitalize(), x=-left / (WIDTH - left - right), pad=8
            )
        for y, name in enumerate(order):
            style, row = styles[name], study.row(name, labels)
            seeds = [result.metrics["test"][study.score.key] for result in study.of(name, labels)]
            mean, spread = row[key] * say.factor, row[f"{key}_std"] * say.factor
            if len(seeds) > 1:
                axes.plot(np.array(seeds) * say.factor, [y] * len(seeds), ls="", marker="|", ms=9,
                          color=style.colour, alpha=0.55)  # fmt: skip
                axes.plot(
                    [mean - spread, mean + spread], [y, y], color=style.colour, lw=2.4, alpha=0.75
                )
            axes.plot(mean, y, ms=8, **style.point)
            axes.text(
                1.02,
                y,
                texts[(name, labels)],
                transform=axes.get_yaxis_transform(),
                va="center",
                size=11,
            )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"Test {say.name}{in_unit(say)}")
    return figure


@svg
def curves(study: Study, labels: str) -> Figure:
    """Score by epoch: one panel a model, training dashed and validation solid, seeds light."""
    return _curves(study, labels, "score", words(study))


@svg
def losses(study: Study, labels: str) -> Figure:
    """Loss by epoch, in the manner of `curves`."""
    return _curves(study, labels, "loss", Words("loss", 1, "", "", 2))


def _curves(study: Study, labels: str, what: str, say: Words) -> Figure:
    styles, names = marks(study.kinds), list(study.kinds)
    rows = math.ceil(len(names) / COLUMNS)
    panel, step = 118.0, 118 + 52
    figure = canvas(24 + rows * step + 22)
    width = (WIDTH - 40 - 14) / COLUMNS - 8
    histories = [result.history for result in study.results if str(result.run.labels) == labels]
    limits = _limits(histories, what, bounded=what == "score" and study.score is ACCURACY)
    for i, name in enumerate(names):
        axes = place(
            figure, 40 + (i % COLUMNS) * (width + 22), 22 + (i // COLUMNS) * step, width, panel
        )
        axes.set_title(shorten(name, 26), weight="bold", size=11)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(limits[0] * say.factor, limits[1] * say.factor)
        _curve(axes, study, name, labels, what, say, styles[name])
        if i % COLUMNS:
            axes.tick_params(labelleft=False)
        if i + COLUMNS >= len(names):
            axes.set_xlabel("Epoch")
    lines = [Line2D([], [], color=INK, lw=2), Line2D([], [], color=INK, ls=(0, (3, 2)), lw=1.3)]
    title = f"{say.name}{in_unit(say)}"
    legend(figure, lines, [f"Validation {title}", f"Training {title}"], 24 + rows * step, 2)
    return figure


def _curve(
    axes: Axes, study: Study, name: str, labels: str, what: str, say: Words, style: Mark
) -> None:
    """One model's panel."""
    train, val = f"train_{what}", f"val_{what}"
    results = study.of(name, labels)
    for result in results if len(results) > 1 else []:
        seed = result.history
        axes.plot(seed["epoch"], seed[train] * say.factor, color=INK, lw=0.7, alpha=0.2)
        axes.plot(seed["epoch"], seed[val] * say.factor, color=style.colour, lw=0.8, alpha=0.35)
    mean = course(study, name, labels)
    if mean.empty:
        axes.text(
            0.5, 0.5, "no epochs", transform=axes.transAxes, ha="center", va="center", alpha=0.6
        )
        return
    # a single epoch has no line: its point shows
    mark = "o" if len(mean) == 1 else ""
    axes.set_xlim(0.5, max(len(result.history) for result in results) + 0.5)
    axes.plot(
        mean["epoch"],
        mean[train] * say.factor,
        color=INK,
        ls=(0, (3, 2)),
        lw=1.2,
        marker=mark,
        ms=4,
    )
    axes.plot(mean["epoch"], mean[val] * say.factor, color=style.colour, lw=2.2, marker=mark, ms=5)
    first = results[0].history
    for boundary in first["epoch"][
        first["phase"].ne(first["phase"].shift(fill_value=first["phase"].iloc[0]))
    ]:
        axes.axvline(boundary - 0.5, color=INK, lw=0.8, ls=(0, (1, 2)), alpha=0.6)


@svg
def low_data(study: Study, found: Crossing | None) -> Figure:
    """Test score against the number of labels a class, log scale; `all` at its mean a class. With
    the crossing of the best of each kind, and its interval, where there is one."""
    say, key, styles = words(study), f"test_{study.score.key}", marks(study.kinds)
    settings = study.labels[::-1]
    places = [labels_a_class(study, x) for x in settings]
    columns = columns_of(list(study.kinds))
    figure = canvas(12 + 240 + 52 + 20 * math.ceil(len(study.kinds) / columns))
    axes = place(figure, 50, 12, WIDTH - 62, 240)
    axes.set_xscale("log")
    for name, style in styles.items():
        rows = study.summary.loc[name].loc[settings]
        mean, spread = rows[key] * say.factor, rows[f"{key}_std"].fillna(0) * say.factor
        axes.errorbar(
            places, mean, spread, elinewidth=1, capsize=0, ms=7, **style.line, **style.point
        )
    if found:
        for kind in sorted(set(study.kinds.values())):
            best = [study.row(study.best(x, kind), x)[key] * say.factor for x in settings]
            axes.plot(places, best, color=INK, lw=7, alpha=0.1, solid_capstyle="round")
    if found and len(found.places) == 1:
        axes.axvline(found.places[0], color=INK, lw=0.8, ls=(0, (1, 2)), alpha=0.6)
        ends = max(found.low, places[0]), min(found.high, places[-1])
        axes.axvspan(*ends, color=INK, alpha=0.06, lw=0)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, settings)
    axes.margins(0.08)
    axes.set_xlabel("Labels a class in training")
    axes.set_ylabel(f"Test {say.name}{in_unit(say)}")
    handles = [Line2D([], [], ms=7, **style.line, **style.point) for style in styles.values()]
    legend(
        figure, handles, [shorten(name, 57 // columns) for name in styles], 12 + 240 + 52, columns
    )
    return figure


@svg
def predicted_against_true(study: Study, model: str) -> Figure:
    """Predicted against true value on the test images, first seed; at most DOTS of them."""
    targets = study.prepared.targets("test")
    result = study.of(model, study.labels[0])[0]
    predicted = study.predictions(result.run, "test").ravel()
    shown = np.random.default_rng(0).permutation(len(targets))[:DOTS]
    low = min(targets.min(), predicted.min())
    high = max(targets.max(), predicted.max())
    figure = canvas(434)
    axes = place(figure, 58, 10, 380, 380)
    axes.plot([low, high], [low, high], color=INK, lw=1, ls=(0, (4, 3)), alpha=0.6)
    style = marks(study.kinds)[model]
    axes.plot(
        targets[shown],
        predicted[shown],
        ls="",
        marker="o",
        ms=4,
        mew=0,
        color=style.colour,
        alpha=0.45,
    )
    unit = study.prepared.manifest.unit
    axes.set_xlabel("True value" + (f" ({unit})" if unit else ""))
    axes.set_ylabel("Predicted value" + (f" ({unit})" if unit else ""))
    return figure


def in_unit(say: Words) -> str:
    """The score's unit, for the end of an axis' name."""
    return f" ({say.unit})" if say.unit else ""


def columns_of(names: Sequence[str]) -> int:
    """How many names stand side by side in a legend."""
    return 3 if longest(names) <= 7 * 14 else 2


def _limits(histories: Sequence[pd.DataFrame], what: str, bounded: bool) -> tuple[float, float]:
    """A common scale; unless the numbers are bounded, without the highest few per cent."""
    found = [
        frame[f"{split}_{what}"].to_numpy(float)
        for frame in histories
        for split in ("train", "val")
    ]
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(np.quantile(values, 1 if bounded else 0.97))
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
