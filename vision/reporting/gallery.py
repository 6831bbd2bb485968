"""Every figure of a study, with the words around it."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from vision.evaluation.crossing import crossing
from vision.evaluation.results import ACCURACY, Study
from vision.evaluation.variants import Variant
from vision.evaluation.variants import variants as find_variants
from vision.reporting import (
    bands,
    convergence,
    costs,
    figures,
    matrices,
    pictures,
    reliability,
    robustness,
    spread,
    variants,
)
from vision.reporting.crossing import sentence
from vision.reporting.pairs import NEARLY
from vision.reporting.words import SPACE, labels_name, words


@dataclass(frozen=True)
class Figure:
    """A chart or a sheet of images, with what it says to those who see it or cannot see it."""

    name: str
    svg: str
    title: str
    caption: str
    alt: str

    @property
    def inline(self) -> Markup:
        """The SVG for use inside the page: labelled, and without a style of its own."""
        before, _, rest = self.svg.partition("<style>")
        _, _, after = rest.partition("</style>")
        label = f'<svg role="img" aria-label="{escape(self.alt)}" '
        return Markup((before + after).replace("<svg ", label, 1))


def draw(study: Study) -> dict[str, Figure]:
    """Every figure by name, in the order of the page."""
    return {figure.name: figure for figure in _all(study)}


def _all(study: Study) -> Iterator[Figure]:
    yield _comparison(study)
    yield _cost(study)
    if (study.summary["epochs"] > 0).any():
        yield _convergence(study, study.labels[0])
    if found := find_variants(study):
        yield _variants(study, found)
    for labels in study.labels:
        yield from _curves(study, labels)
    if len(study.labels) > 1:
        yield _labels(study)
    yield from _confusions(study) if study.score is ACCURACY else _predicted(study)
    yield from _mistakes(study)
    if len(study.kinds) * len(study.params.seeds) > 1:
        yield from _suspects(study)
    yield from [_reliability(study)] if study.score is ACCURACY else _numbers(study)
    if study.params.evaluation.corruptions:
        yield _robustness(study)
    yield _distribution(study)
    yield _samples(study)
    yield _means(study)


def _comparison(study: Study) -> Figure:
    say, key = words(study), f"test_{study.score.key}"
    order = study.ranking(study.labels[0])
    results = [f"{name} {say.value(study.row(name, study.labels[0])[key])}" for name in order]
    seeds = (
        "Thin strokes are single seeds; the bar is one standard deviation each way."
        if len(study.params.seeds) > 1
        else "One seed."
    )
    at = f" with {labels_name(study.labels[0])}" if len(study.labels) > 1 else ""
    return Figure(
        "comparison",
        figures.comparison(study),
        f"Test {say.name} of each model",
        f"Hollow marks: from scratch. Filled marks: transfer. {seeds} "
        f"Models stand in the order of their validation result{at}.",
        f"Test {say.name} of each model: {', '.join(results)}.",
    )


def _cost(study: Study) -> Figure:
    side = "Up" if study.score.higher_is_better else "Down"
    kept = [
        f"{name.lower()} {', '.join(best)}"
        for key, name in costs.NAMES.items()
        if (best := costs.best_value(study, key))
    ]
    return Figure(
        "cost",
        costs.chart(study),
        "What a better result costs",
        f"{side} and to the left is better. No model beats those on a dashed line on both counts "
        f"(the Pareto front): {'; '.join(kept)}.",
        f"Test {words(study).name} against training time, time per image, parameters and "
        f"multiply-adds. On the Pareto front: {'; '.join(kept)}.",
    )


def _convergence(study: Study, labels: str) -> Figure:
    title = f"Validation {words(study).name} by epoch and by time"
    return Figure(
        "convergence",
        convergence.chart(study, labels),
        title,
        "Means over seeds, as far as all seeds ran. A mark is where the model reached "
        f"{100 * NEARLY:.0f}{SPACE}% of its final result. Time is wall time since the "
        "start of training, everything included.",
        f"{title}, one line a model.",
    )


def _variants(study: Study, found: list[Variant]) -> Figure:
    title = f"What each change to {study.params.baseline} did"
    return Figure(
        "changes",
        variants.chart(study, found),
        title,
        f"Validation {words(study).name} against that of {study.params.baseline}, right is "
        f"better; bars are 95{SPACE}% intervals.",
        f"{title}, on validation, best first.",
    )


def _curves(study: Study, labels: str) -> Iterator[Figure]:
    among = f", {labels_name(labels)}" if len(study.labels) > 1 else ""
    seeds = (
        "Bold lines are means over seeds, as far as all seeds ran. "
        if len(study.params.seeds) > 1
        else ""
    )
    caption = (
        f"Solid: validation. Dashed: training, on the images as augmented. {seeds}"
        "A dotted upright line is the start of a new phase."
    )
    charts = (
        ("curves", figures.curves, words(study).name.capitalize()),
        ("losses", figures.losses, "Loss"),
    )
    for name, chart, what in charts:
        alt = f"{what} of each model by epoch, on training and validation images{among}."
        title = f"{what} by epoch{among}"
        yield Figure(f"{name}-{labels}", chart(study, labels), title, caption, alt)


def _labels(study: Study) -> Figure:
    title = f"Test {words(study).name} by number of labels"
    found = crossing(study)
    where = (
        " Pale thick lines join the best of each kind, as validation chose it at each setting. "
        + sentence(study, found)
        if found
        else ""
    )
    return Figure(
        "labels",
        figures.low_data(study, found),
        title,
        f"Each line is a model; bars are one standard deviation over seeds.{where}",
        f"{title}: each model at {', '.join(map(labels_name, study.labels))}."
        + (f" {sentence(study, found)}" if found else ""),
    )


def _confusions(study: Study) -> Iterator[Figure]:
    """Of the winner, and beside it of the model that it is compared with."""
    many = len(study.prepared.manifest.classes) > matrices.NAMED
    numbers = " The numbers at the sides are those of the table of classes." if many else ""
    for role, model in (("winner", study.winner), ("rival", study.rival)):
        if model is not None:
            yield Figure(
                f"confusion-{role}",
                matrices.confusion(study, model),
                f"Confusion matrix: {model}",
                "Rows are true classes, in per cent of their test images. "
                f"Blue is right, orange is wrong.{numbers}",
                f"Confusion matrix of {model}, by true and predicted class.",
            )


def _predicted(study: Study) -> Iterator[Figure]:
    yield Figure(
        "predicted",
        figures.predicted_against_true(study, study.winner),
        f"Predicted against true value: {study.winner}",
        "On the dashed line a prediction is exact. "
        f"First seed, at most {figures.DOTS:,} test images.",
        f"Predictions of {study.winner} against true values on the test images.",
    )


def _mistakes(study: Study) -> Iterator[Figure]:
    """Of the winner, and of the model that it is compared with."""
    classes = study.score is ACCURACY
    title = "Most confident mistakes" if classes else "Largest errors"
    what = (
        "The wrong answers of which it was surest: the true class → its answer, and the "
        "probability p that it gave."
        if classes
        else "The true value → the prediction."
    )
    looked = "spoke for that answer" if classes else "raised the prediction"
    for role, model in (("winner", study.winner), ("rival", study.rival)):
        sheet = pictures.mistakes(study, model) if model else ""
        if sheet:
            yield Figure(
                f"mistakes-{role}",
                sheet,
                f"{title}: {model}",
                f"{what} On the right, orange is what {looked} (Grad-CAM). "
                "Test images, first seed.",
                f"The test images on which {model} was most wrong, and where it looked.",
            )


def _suspects(study: Study) -> Iterator[Figure]:
    """Images that no run gets right, where there are some."""
    sheet = pictures.missed_by_all(study)
    if sheet:
        runs = len(study.kinds) * len(study.params.seeds)
        title, what = (
            (
                f"Wrong in all {runs} runs",
                "The label → what most runs say, and the mean probability p that the runs give it. "
                "Look here first for wrong labels. At the largest labels setting; at",
            )
            if study.score is ACCURACY
            else (
                f"Off the same way in all {runs} runs",
                "The target → the mean prediction. All runs are too high, or all too low: look "
                "here first for wrong targets. At",
            )
        )
        yield Figure(
            "suspects",
            sheet,
            title,
            f"{what} most {pictures.SUSPECTS} are shown.",
            "The test images that no run gets right.",
        )


def _reliability(study: Study) -> Figure:
    names = study.ranking(study.labels[0])
    among = (
        f" The {reliability.SHOWN} best on validation." if len(names) > reliability.SHOWN else ""
    )
    return Figure(
        "reliability",
        reliability.diagrams(study),
        "Reliability of each model's confidence",
        "Test images sorted into 15 bins by confidence; the larger the dot, the more of them. "
        f"Below the dashed line, a model is surer than it is right.{among}",
        f"Accuracy against confidence of {', '.join(names[: reliability.SHOWN])}.",
    )


def _numbers(study: Study) -> Iterator[Figure]:
    yield Figure(
        "bands",
        bands.by_band(study),
        "Error by band of the true value",
        "A point is a band; bands hold about as many test images each. "
        "Dashed: always predicting the training median.",
        f"Mean error of {', '.join(study.kinds)} in each band of the true value.",
    )
    line = " The upright line is the tolerance." if study.params.evaluation.tolerance else ""
    yield Figure(
        "within",
        bands.within(study),
        "Share of the images with at most this error",
        f"Up and to the left is better; also known as the cumulative score.{line}",
        f"Cumulative score of {', '.join(study.kinds)} by size of the error.",
    )


def _robustness(study: Study) -> Figure:
    name = words(study).name
    return Figure(
        "robustness",
        robustness.by_strength(study, robustness.scores(study)),
        f"{name.capitalize()} on images made worse",
        "By strength; 0 is the images as they are.",
        f"Test {name} of {', '.join(study.kinds)} by kind and strength of the corruption.",
    )


def _distribution(study: Study) -> Figure:
    classes = study.score is ACCURACY
    title = "Balance of the classes" if classes else "Spread of the target"
    return Figure(
        "distribution",
        spread.classes(study) if classes else spread.numbers(study),
        title,
        "As a share of each split's images.",
        f"{title} in the training, validation and test split.",
    )


def _samples(study: Study) -> Figure:
    what = (
        f"the first of {_each_class(study)}"
        if study.score is ACCURACY
        else "from the smallest to the largest target"
    )
    return Figure(
        "samples",
        pictures.samples(study),
        "Sample images",
        f"From the training split, {what}.",
        f"Sample training images, {what}.",
    )


def _means(study: Study) -> Figure:
    what = (
        _each_class(study)
        if study.score is ACCURACY
        else "each fifth of the images, in order of target"
    )
    return Figure(
        "means",
        pictures.means(study),
        "Mean images",
        f"The mean of the training images of {what} (of {pictures.MEANT:,} images in all, where "
        "there are more). What can be seen here, a model can learn without looking closely: "
        "the light, the background, where things stand.",
        f"The mean training image of {what}.",
    )


def _each_class(study: Study) -> str:
    size = len(study.prepared.manifest.classes)
    if size <= pictures.CLASSES:
        return "each class"
    return f"each of the first {pictures.CLASSES} of {size} classes"
