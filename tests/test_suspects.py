"""Images that no run gets right."""

import numpy as np

from vision.evaluation.suspects import of_classes, of_numbers


def test_those_on_which_most_runs_agree_come_first_and_then_the_surest() -> None:
    targets = np.array([0, 0, 0, 0, 1])
    answers = np.array([[0, 1, 1, 2, 0], [0, 1, 2, 2, 0]])
    sure = np.array([[0.9, 0.4, 0.9, 0.8, 0.5], [0.9, 0.6, 0.9, 0.6, 0.7]])
    chance = np.repeat((1 - sure[..., None]) / 2, 3, axis=2)
    np.put_along_axis(chance, answers[..., None], sure[..., None], axis=2)
    found = of_classes(list(np.log(chance)), targets)
    assert [(x.index, x.answer, x.runs) for x in found] == [
        (3, 2, 2),
        (4, 0, 2),
        (1, 1, 2),
        (2, 1, 1),
    ]
    assert np.allclose([x.strength for x in found[:3]], [0.7, 0.6, 0.5])


def test_a_shared_error_is_no_larger_than_that_of_any_run() -> None:
    targets = np.array([10.0, 10, 10, 10])
    outputs = [np.array([[12.0], [30], [0], [10]]), np.array([[16.0], [9], [4], [10]])]
    found = of_numbers(outputs, targets)
    assert [(x.index, x.answer, x.strength) for x in found] == [(2, 2, 6), (0, 14, 2)]
