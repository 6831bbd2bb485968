"""Test images that no run gets right: candidates for wrong labels."""

from dataclasses import dataclass

import numpy as np

from vision.evaluation.results import Study


@dataclass(frozen=True)
class Suspect:
    index: int
    """In the test split."""
    answer: int
    """The class that most runs take it for."""
    runs: int
    """How many say so."""


def suspects(study: Study) -> list[Suspect]:
    """The test images that every run at the largest labels setting takes for another class, those
    first on whose class most runs agree."""
    targets = study.prepared.targets("test")
    runs = [result.run for name in study.kinds for result in study.of(name, study.labels[0])]
    answers = np.array([study.predictions(run, "test").argmax(axis=1) for run in runs])
    found = []
    for index in np.flatnonzero((answers != targets).all(axis=0)).tolist():
        votes = np.bincount(answers[:, index])
        found.append(Suspect(index, int(votes.argmax()), int(votes.max())))
    return sorted(found, key=lambda suspect: -suspect.runs)
