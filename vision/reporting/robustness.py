"""Images made worse on the page: what each model still reaches, by kind and by strength."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vision.evaluation.results import Study
from vision.reporting.listings import Cell, Table
from vision.reporting.style import WIDTH, canvas, legend, marks, place, shorten, svg
from vision.reporting.words import words

COLUMNS = 3
NAMES = {
    "gaussian_noise": "noise",
    "gaussian_blur": "blur",
    "contrast": "less contrast",
    "brightness": "more light",
    "jpeg": "JPEG",
}


def scores(study: Study) -> pd.DataFrame:
    """One row a run at the largest labels setting, kind and strength: model, seed, kind, strength,
    score. Strength 0 is the same images as they are. The study must have asked for corruptions.
    """
    rows = []
    for model in study.ranking(study.labels[0]):
        for result in study.of(model, study.labels[0]):
            found = study.robustness(result.run)
            for kind, corrupted in found["corrupted"].items():
                for strength, score in {"0": found["clean"], **corrupted}.items():
                    rows.append((model, result.run.seed, kind, int(strength), score))
    return pd.DataFrame(rows, columns=["model", "seed", "kind", "strength", "score"])


@svg
def by_strength(study: Study, found: pd.DataFrame) -> Figure:
    """Score by strength, a panel a kind, a line a model; mean over seeds."""
    say, styles = words(study), marks(study.kinds)
    kinds = list(found["kind"].unique())
    means = found.groupby(["kind", "model", "strength"])["score"].mean() * say.factor
    gap, left, panel = 16, 48, 118.0
    width, step = (WIDTH - left - 8 - gap * (COLUMNS - 1)) / COLUMNS, panel + 46
    rows = math.ceil(len(kinds) / COLUMNS)
    below = 20 * math.ceil(len(styles) / 2)
    figure = canvas(22 + rows * step + 14 + below)
    margin = 0.05 * (means.max() - means.min()) or 1.0
    for i, kind in enumerate(kinds):
        column, row = i % COLUMNS, i // COLUMNS
        axes = place(figure, left + column * (width + gap), 22 + row * step, width, panel)
        axes.set_title(_title(kind), size=11)
        for name, style in styles.items():
            line = means[kind, name]
            axes.plot(line.index, line, ms=4, lw=1.3, **style.line, **style.point)
        axes.set_ylim(means.min() - margin, means.max() + margin)
        axes.set_xticks(range(6))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelleft=column == 0)
        if i + COLUMNS >= len(kinds):
            axes.set_xlabel("Strength")
        if column == 0:
            axes.set_ylabel(f"{say.name.capitalize()}" + (f" ({say.unit})" if say.unit else ""))
    handles = [Line2D([], [], ms=5, lw=1.3, **x.line, **x.point) for x in styles.values()]
    legend(figure, handles, [shorten(name, 28) for name in styles], 22 + rows * step + 14, 2)
    return figure


def table(study: Study, found: pd.DataFrame) -> Table:
    """A line a model, best on validation first: as they are, over all corruptions, by kind."""
    say = words(study)
    kinds = list(found["kind"].unique())
    rows = []
    for model, own in found.groupby("model", sort=False):
        clean, worse = _split(own)
        means = [worse["score"].mean(), *(worse.groupby("kind")["score"].mean()[kinds])]
        rows.append(
            [
                Cell(str(model), str(model)),
                Cell(say.value(clean), clean),
                *(Cell(say.value(mean), mean) for mean in means),
            ]
        )
    head = ["Model", "As they are", "Made worse, on average", *map(_title, kinds)]
    return Table(head, rows, marked=0)


def sentence(study: Study, found: pd.DataFrame) -> str:
    """What the winner keeps, what is hardest for it, and which model keeps most."""
    say, winner = words(study), study.winner
    clean, worse = _split(found[found["model"] == winner])
    kinds = worse.groupby("kind", sort=False)["score"].mean()
    hardest = str(study.score.best_first(kinds).idxmax())
    models = _split(found)[1].groupby("model", sort=False)["score"].mean()
    most = str(study.score.best_first(models).idxmin())
    rest = (
        f"; {most} keeps most, {say.value(float(models[most]))}"
        if most != winner
        else "; no model keeps more"
        if len(models) > 1
        else ""
    )
    return (
        f"{winner}'s {say.name} is {say.value(clean)} on the images as they are and "
        f"{say.value(float(models[winner]))} on average when they are made worse{rest}. "
        f"The hardest for it is {NAMES[hardest]}: {say.value(float(kinds[hardest]))}."
    )


def _split(own: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The mean score on images as they are, and the rows of those made worse."""
    return float(own.loc[own["strength"] == 0, "score"].mean()), own[own["strength"] > 0]


def _title(kind: str) -> str:
    return NAMES[kind][0].upper() + NAMES[kind][1:]
