"""Test images that no run gets right: candidates for wrong labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from vision.evaluation.results import ACCURACY, Study

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Suspect:
    index: int
    """In the test split."""
    answer: float
    """The class that most runs take it for, or the mean of the numbers that they predict."""
    runs: int
    """How many say so."""
    strength: float
    """The mean probability that the runs give this class, or the error that none falls short of."""


def suspects(study: Study) -> list[Suspect]:
    """The suspects among the test images, by every run at the largest labels setting."""
    targets = study.prepared.targets("test")
    outputs = [x for name in study.kinds for x in study.outputs(name, "test")]
    return of_classes(outputs, targets) if study.score is ACCURACY else of_numbers(outputs, targets)


def of_classes(outputs: Sequence[Floats], targets: NDArray[np.int64]) -> list[Suspect]:
    """Images that every run takes for another class: first those on whose class most runs agree,
    and of these the ones of which they are surest.

    Args:
        outputs: logits by run, [N, K] each.
        targets: [N].
    """
    answers = np.array([x.argmax(axis=1) for x in outputs])
    found = []
    for index in np.flatnonzero((answers != targets).all(axis=0)).tolist():
        votes = np.bincount(answers[:, index])
        answer = int(votes.argmax())
        sure = [softmax(x[index].astype(np.float64))[answer] for x in outputs]
        found.append(Suspect(index, answer, int(votes.max()), float(np.mean(sure))))
    return sorted(found, key=lambda suspect: (-suspect.runs, -suspect.strength))


def of_numbers(outputs: Sequence[Floats], targets: Floats) -> list[Suspect]:
    """Images whose number every run puts too high, or every run too low, the largest error first
    that none of them falls short of: runs that disagree count for little.

    Args:
        outputs: predictions by run, [N, 1] each, in the target's unit.
        targets: [N].
    """
    predictions = np.array([x.ravel() for x in outputs], np.float64)
    errors = predictions - targets
    least = np.maximum(errors.min(axis=0), -errors.max(axis=0))
    order = np.argsort(-least, kind="stable")
    return [
        Suspect(i, float(predictions[:, i].mean()), len(outputs), float(least[i]))
        for i in order[least[order] > 0].tolist()
    ]
