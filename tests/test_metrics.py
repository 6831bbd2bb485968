"""The numbers, against ones worked out by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from vision.errors import UserError
from vision.evaluation import metrics

CLASSES = ["cat", "dog", "ship"]
TRAINING = np.array([1, 1, 3, 5, 10], dtype=np.float32)
"""Targets whose mean is 4 and whose median is 3."""


def test_classification_by_hand() -> None:
    # predicted: 0 0 1 0 2; so cats 2 of 2, dogs 1 of 2, ships 1 of 1
    logits = np.log([[8, 1, 1], [6, 2, 2], [1, 8, 1], [5, 3, 2], [1, 1, 8]]).astype(np.float32)
    targets = np.array([0, 0, 1, 1, 2])
    found = metrics.classification(logits, targets, CLASSES)

    assert found["accuracy"] == pytest.approx(4 / 5)
    expected = -(math.log(0.8) + math.log(0.6) + math.log(0.8) + math.log(0.3) + math.log(0.8)) / 5
    assert found["loss"] == pytest.approx(expected, rel=1e-6)
    assert found["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert found["precision"] == pytest.approx((2 / 3 + 2) / 3)
    assert found["recall"] == pytest.approx(2.5 / 3)
    assert found["f1"] == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)


def test_a_class_without_images_counts_in_no_mean() -> None:
    logits = np.array([[2, 1, 0], [0, 3, 1]], dtype=np.float32)
    found = metrics.classification(logits, np.array([0, 1]), CLASSES)
    assert found["recall"] == found["precision"] == found["f1"] == 1


def test_huge_logits_have_a_finite_loss() -> None:
    logits = np.array([[1000, -1000, 0]], dtype=np.float32)
    assert metrics.classification(logits, np.array([1]), CLASSES)["loss"] == pytest.approx(2000)


def test_regression_by_hand() -> None:
    predictions = np.array([[1], [2], [6]], dtype=np.float32)
    found = metrics.regression(predictions, np.array([1, 4, 5], dtype=np.float32), TRAINING, 1)
    assert found["mae"] == pytest.approx(1)
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3))
    # the targets' mean is 10/3, their squares about it add up to 26/3
    assert found["r2"] == pytest.approx(1 - 5 / (26 / 3))
    assert found["baseline_mae"] == pytest.approx(4 / 3)
    assert found["median_mae"] == pytest.approx(5 / 3)
    assert found["within"] == pytest.approx(2 / 3)
    assert "within" not in metrics.regression(predictions, np.array([1.0, 4, 5]), TRAINING)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_of_a_diverged_model_are_refused(bad: float) -> None:
    outputs = np.array([[1, 2, 3], [1, bad, 3]], dtype=np.float32)
    with pytest.raises(UserError, match="1 of 2 predictions are not finite"):
        metrics.classification(outputs, np.array([0, 1]), CLASSES)
    with pytest.raises(UserError, match="1 of 2 predictions are not finite"):
        metrics.regression(outputs[:, 1:2], np.array([0.0, 1.0]), TRAINING)


def test_the_surest_mistakes_come_first() -> None:
    logits = np.log([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    chosen, sure = metrics.confident_mistakes(logits, np.array([1, 0, 0, 1]), 2)
    assert chosen.tolist() == [2, 3]
    assert sure.tolist() == pytest.approx([0.8, 0.7])


def test_the_measures_of_a_class_are_those_of_scikit_learn_with_intervals() -> None:
    logits = np.random.default_rng(0).normal(0, 1, (90, 3))
    targets = np.arange(90) % 3
    logits[np.arange(90), targets] += 2
    found = metrics.classification(logits, targets, CLASSES)
    shares = metrics.per_class(np.array(found["confusion"]))
    expected = precision_recall_fscore_support(targets, logits.argmax(axis=1))
    for share, values in zip(shares.values(), expected, strict=False):
        assert share.value == pytest.approx(values)
        assert np.all(share.low < share.value)
        assert np.all(share.value < share.high)
        assert np.all(share.high <= 1)


def test_the_interval_of_f1_holds_at_its_level() -> None:
    generator = np.random.default_rng(0)
    # one class of a tenth of the images, recall 0.8 and 0.2 of the answers wrong: F1 is 0.8
    drawn = generator.multinomial(300, [0.08, 0.02, 0.02, 0.88], 1000)
    inside = []
    for hits, missed, wrong, rest in drawn:
        f1 = metrics.per_class(np.array([[hits, missed], [wrong, rest]]))["f1"]
        inside.append(f1.low[0] <= 0.8 <= f1.high[0])
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_a_class_that_few_seeds_answer_has_shares_of_at_most_all() -> None:
    """Means over three seeds, of which one answered the second class, rightly."""
    found = metrics.per_class(np.array([[1, 0], [2 / 3, 1 / 3]]))
    assert found["precision"].value == pytest.approx([0.6, 1])
    for share in found.values():
        assert np.all(share.value <= share.high)
        assert np.all(share.high < 1 + 1e-9)


def test_a_class_without_images_or_answers_has_an_interval_that_says_nothing() -> None:
    found = metrics.per_class(np.array([[3, 0], [0, 0]]))
    for share in found.values():
        assert share.value.tolist() == [1, 0]
        assert (share.low[1], share.high[1]) == pytest.approx((0, 1))
