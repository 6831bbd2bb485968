"""The tables of the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.evaluation import metrics
from vision.evaluation.cost import costs as costs_of
from vision.evaluation.results import Study
from vision.prepared import SPLITS
from vision.reporting import matrices
from vision.reporting.words import (
    KINDS,
    NOTHING,
    SPACE,
    SPLIT_NAMES,
    Words,
    choice_words,
    count,
    duration,
    large,
    minus,
    short,
    words,
)

CONFUSED = 8
"""Pairs of classes listed."""
MEASURES = {
    "loss": "Loss",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "rmse": "RMSE",
    "r2": "R²",
}
USES = {
    "train": "fits the weights",
    "val": "chooses epochs and the winner",
    "test": "is only measured",
}


@dataclass(frozen=True)
class Cell:
    text: str
    key: float | str
    """What the column is sorted by."""


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    marked: int | None = None
    """The row that stands out."""


def comparison(study: Study) -> Table:
    """Every model at every labels setting, best on validation first; the winner leads."""
    say, key = words(study), study.score.key
    choice, chosen = choice_words(study), f"val_{study.choice.key}"
    several = len(study.labels) > 1
    others = [name for name in MEASURES if f"test_{name}" in study.summary]
    head = ["Model", "Kind", *(["Labels"] if several else [])]
    head += [
        f"Test {say.name}",
        f"95{SPACE}% interval",
        f"Validation {choice.name}",
        *(MEASURES[name] for name in others),
    ]
    head += ["Gap"]
    rows = []
    for labels in study.labels:
        for name in study.ranking(labels):
            row = study.row(name, labels)
            score = say.value(row[f"test_{key}"], row[f"test_{key}_std"])
            low, high = study.interval(name, labels)
            rows.append(
                [
                    _text(name),
                    _text(study.kinds[name]),
                    *([_setting(labels)] if several else []),
                    Cell(score, row[f"test_{key}"]),
                    Cell(say.between(low, high), low),
                    Cell(choice.value(row[chosen]), row[chosen]),
                    *(measure(other, row[f"test_{other}"], say) for other in others),
                    Cell(say.number(row["gap"], sign=True), row["gap"]),
                ]
            )
    return Table(head, rows, marked=0)


def costs(study: Study) -> Table:
    """What every model at every labels setting costs, in the order of `comparison`."""
    several = len(study.labels) > 1
    head = ["Model", *(["Labels"] if several else []), "Parameters", "Trained", "Multiply-adds"]
    head += ["Training time", "Time per image", "Peak memory"]
    rows = []
    for labels in study.labels:
        for name in study.ranking(labels):
            row, cost = study.row(name, labels), costs_of(study, name, labels)
            rows.append(
                [
                    _text(name),
                    *([_setting(labels)] if several else []),
                    _count(row["parameters"]),
                    _count(row["trainable_parameters"]),
                    Cell(large(row["multiply_adds"]), row["multiply_adds"]),
                    Cell(duration(row["seconds"]), row["seconds"]),
                    Cell(duration(cost["seconds_per_image"]), cost["seconds_per_image"]),
                    _megabytes(row["peak_memory_bytes"] / 1e6),
                ]
            )
    return Table(head, rows, marked=0)


def settings(study: Study) -> Table:
    """The best of each kind at each labels setting, and how far apart they are."""
    say, key = words(study), f"test_{study.score.key}"
    kinds = [kind for kind in KINDS if kind in study.kinds.values()]
    head = ["Labels a class", *(f"Best {KINDS[kind]}" for kind in kinds)]
    head += ["Transfer ahead by", f"95{SPACE}% interval"] if len(kinds) == 2 else []
    rows = []
    for labels in study.labels:
        names = [study.best(labels, kind) for kind in kinds]
        cells = [_setting(labels)]
        for name in names:
            row = study.row(name, labels)
            cells.append(Cell(f"{name}: {say.value(row[key], row[f'{key}_std'])}", row[key]))
        if len(names) == 2:
            gap = study.difference(names[1], names[0], labels)
            cells.append(Cell(f"{say.number(gap.value, True)}{SPACE}{say.step}", gap.value))
            cells.append(Cell(say.interval(gap), gap.low))
        rows.append(cells)
    return Table(head, rows)


def confused(study: Study) -> Table:
    """The winner's commonest confusions over all seeds."""
    classes, seeds = study.prepared.manifest.classes, len(study.params.seeds)
    found = matrices.confusions(study, study.winner)
    share = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    wrong = found * ~np.eye(len(classes), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = [divmod(int(i), len(classes)) for i in order if wrong.flat[i] > 0]
    rows = [
        [
            _text(classes[true]),
            _text(classes[answer]),
            Cell(short(wrong[true, answer] / seeds).removesuffix(".0"), int(wrong[true, answer])),
            _percent(float(share[true, answer])),
        ]
        for true, answer in pairs
    ]
    head = ["True class", "Taken for", "Images a run" if seeds > 1 else "Images", "Of the class"]
    return Table(head, rows)


def per_class(study: Study) -> Table:
    """The winner's precision, recall and F1 for each class, worst F1 first, with 95 % intervals;
    classes without test images come last.

    From the counts of the confusion matrix, mean over seeds; with numbers where that has no room
    for names.
    """
    confusion = matrices.confusions(study, study.winner) / len(study.params.seeds)
    found, tested = metrics.per_class(confusion), confusion.sum(axis=1) > 0
    names = study.prepared.manifest.classes
    numbered = len(names) > matrices.NAMED
    rows = [
        [
            *([Cell(str(i + 1), i + 1)] if numbered else []),
            _text(names[i]),
            _count(float(confusion[i].sum())),
            *(
                _bounded(part, i) if tested[i] else Cell(NOTHING, math.inf)
                for part in found.values()
            ),
        ]
        for i in np.lexsort([found["f1"].value, ~tested]).tolist()
    ]
    head = ["Class", "Test images", "Precision", "Recall", "F1"]
    return Table(["No.", *head] if numbered else head, rows)


def splits(study: Study) -> Table:
    """What each split holds and is for."""
    manifest = study.prepared.manifest
    each = manifest.height * manifest.width * manifest.channels / 1e6
    rows = [
        [
            _text(SPLIT_NAMES[split]),
            _count(manifest.counts[split]),
            _megabytes(manifest.counts[split] * each),
            _count(manifest.duplicates_within[split]),
            _text(USES[split]),
        ]
        for split in SPLITS
    ]
    return Table(["Split", "Images", "Packed size", "Repeated images", "What it is for"], rows)


def class_counts(study: Study) -> Table:
    """Images of each class in each split."""
    manifest = study.prepared.manifest
    rows = [
        [_text(name), *(_count(manifest.class_counts[split][i]) for split in SPLITS)]
        for i, name in enumerate(manifest.classes)
    ]
    return Table(["Class", *(f"{SPLIT_NAMES[split]} images" for split in SPLITS)], rows)


def _text(text: str) -> Cell:
    return Cell(text, text)


def _count(number: float) -> Cell:
    return Cell(count(number), number)


def _megabytes(size: float) -> Cell:
    return Cell(f"{short(size)}{SPACE}MB", size)


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:.1f}{SPACE}%", share)


def _bounded(part: metrics.Share, i: int) -> Cell:
    """97.8 % (93 to 99)."""
    value, low, high = (100 * float(x[i]) for x in (part.value, part.low, part.high))
    return Cell(f"{value:.1f}{SPACE}% ({low:.0f} to {high:.0f})", value)


def _setting(labels: str) -> Cell:
    """`all` sorts after every number."""
    return Cell(labels, 1e12 if labels == "all" else int(labels))


def measure(name: str, value: float, say: Words) -> Cell:
    """A further measure on the test images, in its own form; a single image has no R²."""
    if math.isnan(value):
        return Cell(NOTHING, -math.inf)
    return Cell(minus(f"{value:z.3f}") if name in ("loss", "r2") else say.value(value), value)
