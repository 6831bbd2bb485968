"""Calibration, on simulated predictions whose truth is known."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss

from vision.evaluation import calibration


def calibrated(size: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Logits of four classes, and targets drawn with the very probabilities that they say."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (size, 4))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (chance.cumsum(axis=1) < generator.random((size, 1))).sum(axis=1)
    return logits.astype(np.float32), np.minimum(drawn, 3)


def ece(logits: NDArray[Any], targets: NDArray[np.int64]) -> float:
    return calibration.bins(*calibration.confidence(logits, targets)).ece


def test_ece_by_hand() -> None:
    # two answers of 0.9 and one right, one of 0.6 and right: gaps of 0.4 and 0.4
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    found = calibration.bins(*calibration.confidence(logits, np.array([0, 1, 1])))
    assert found.counts.sum() == 3
    assert found.ece == pytest.approx((2 * 0.4 + 0.4) / 3)


def test_a_confidence_on_an_edge_counts_in_the_bin_below() -> None:
    found = calibration.bins(np.array([0.0, 1 / 15, 1.0]), np.array([True, True, True]))
    assert found.counts.tolist() == [2, *[0] * 13, 1]


def test_brier_and_loss_are_those_of_scikit_learn() -> None:
    logits, targets = calibrated(300)
    exact = logits.astype(float)
    chance = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)
    assert calibration.brier(logits, targets) == pytest.approx(brier_score_loss(targets, chance))
    assert calibration.loss(logits, targets) == pytest.approx(log_loss(targets, chance))


def test_ece_of_a_calibrated_model_tends_to_zero() -> None:
    found = [ece(*calibrated(size)) for size in (100, 10_000, 1_000_000)]
    assert found[0] > 3 * found[1] > 9 * found[2]
    assert found[2] < 0.002


@pytest.mark.parametrize(("factor", "sign"), [(2.5, 1), (0.4, -1)])
def test_the_temperature_that_was_put_in_is_found(factor: float, sign: int) -> None:
    logits, targets = calibrated(20_000)
    fit = calibration.fit_temperature(factor * logits, targets)
    assert fit is not None
    assert fit == pytest.approx(factor, rel=0.05)
    assert sign * (fit - 1) > 0
    assert ece(factor * logits / fit, targets) < 0.2 * ece(factor * logits, targets)


@pytest.mark.parametrize("seed", range(5))
def test_temperature_scaling_never_changes_an_answer_and_never_raises_the_fitted_loss(
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 10.0 ** generator.integers(-2, 3), (200, 7)).astype(np.float32)
    targets = generator.integers(0, 7, 200)
    fit = calibration.fit_temperature(logits, targets)
    assert fit is not None
    assert np.array_equal((logits / fit).argmax(axis=1), logits.argmax(axis=1))
    assert calibration.loss(logits / fit, targets) <= calibration.loss(logits, targets) + 1e-6


def test_a_temperature_of_many_classes_is_fitted_on_some_of_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits, targets = calibrated(4000)
    whole = calibration.fit_temperature(2 * logits, targets)
    monkeypatch.setattr(calibration, "FITTED", logits.size // 2)
    half = calibration.fit_temperature(2 * logits, targets)
    assert half != whole
    assert half == pytest.approx(whole, rel=0.1)


def test_without_a_mistake_there_is_no_temperature() -> None:
    assert calibration.fit_temperature(np.eye(3), np.arange(3)) is None
    right, targets = np.eye(3), np.arange(3)
    found = calibration.measure([right], targets, [right], np.array([0, 1, 1]))
    assert (found.fitted, found.temperature) == (0, 1)
    assert (found.scaled_loss, found.scaled_ece) == (found.loss, found.ece)


def test_the_interval_of_the_ece_holds_at_its_level() -> None:
    """Calibrated models, and such as are too sure throughout or only where they are surest."""
    missed = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        sure = generator.uniform(0.55, 1, 400)
        for gap in (0 * sure, 0 * sure + 0.1, np.where(sure > 0.9, 0.2, 0.0)):
            right = generator.random(400) < sure - gap
            low, high = calibration.ece_interval([(sure, right)], draws=100)
            missed.append(not low <= gap.mean() <= high)
    assert np.mean(missed) < 0.1


@pytest.mark.parametrize(("size", "least"), [(100, 0.98), (1000, 0.99)])
def test_nearly_faultless_models_are_not_called_badly_calibrated(size: int, least: float) -> None:
    """40 and 10 of 100 calibrated ones were: draws from images without a mistake have none."""
    called = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        sure = generator.uniform(least, 1, size)
        right = generator.random(size) < sure
        low, high = calibration.ece_interval([(sure, right)], draws=200)
        called.append(low > 0)
        assert low <= calibration.bins(sure, right).ece <= high
    assert np.mean(called) <= 0.07


def test_a_seed_without_a_mistake_on_validation_has_no_say_in_the_temperature() -> None:
    logits, targets = calibrated(2000)
    fit = calibration.fit_temperature(2 * logits, targets)
    faultless = 20 * np.eye(4)[targets]
    found = calibration.measure([faultless, 2 * logits], targets, [logits, logits], targets)
    assert found.temperature == pytest.approx(fit)
    assert (found.fitted, found.seeds) == (1, 2)


def test_a_model_is_measured_over_its_seeds() -> None:
    logits, targets = calibrated(3000)
    other, _ = calibrated(3000, seed=1)
    found = calibration.measure([2 * logits, other], targets, [2 * logits, other], targets)
    assert found.ece == pytest.approx((ece(2 * logits, targets) + ece(other, targets)) / 2)
    assert found.ece_low < found.ece < found.ece_high
    fits = [calibration.fit_temperature(x, targets) or 0 for x in (2 * logits, other)]
    assert found.temperature == pytest.approx(math.sqrt(fits[0] * fits[1]))
    assert found.scaled_loss < found.loss
    assert found.scaled_ece < found.ece
