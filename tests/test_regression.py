"""Predicted numbers: intervals that hold at their level, and bands of the target."""

from itertools import pairwise

import numpy as np
import pytest

from vision.evaluation import regression
from vision.evaluation.shares import wilson


def test_the_radius_is_the_error_of_its_rank() -> None:
    errors = np.array([-3.0, 1, 2, -8, 4, 5, -6, 7, 9])
    assert regression.radius(errors) == 9  # rank ceil(10 * 0.9) of 9
    assert regression.radius(np.append(errors, [0.1] * 10)) == 8  # rank 18 of 19
    assert regression.radius(errors[:8]) is None


@pytest.mark.parametrize("shape", ["normal", "standard_cauchy", "standard_exponential"])
def test_intervals_hold_at_their_level_whatever_the_errors(shape: str) -> None:
    shares = []
    for seed in range(300):
        draw = getattr(np.random.default_rng(seed), shape)
        found = regression.coverage([draw(size=49)], [draw(size=200)], [])
        assert found
        shares.append(found.share)
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)


def test_coverage_is_the_mean_over_seeds_in_all_and_by_band() -> None:
    validation = [np.full(20, 1.0), np.full(20, 3.0)]
    test = [np.array([0.5, 2.0, 0.5, 9.0]), np.array([0.5, 2.0, 4.0, 9.0])]
    found = regression.coverage(validation, test, [np.array([0, 1]), np.array([2, 3])])
    assert found
    assert found.radius == 2
    assert found.share == pytest.approx(3.5 / 8 + 0.5 / 8)
    assert found.by_band == pytest.approx([0.75, 0.25])
    assert found.low < found.share < found.high
    assert regression.coverage([np.ones(5)], [np.ones(5)], []) is None


def test_bands_hold_all_images_once_in_order_and_equal_targets_together() -> None:
    targets = np.random.default_rng(0).integers(1, 30, 500).astype(np.float32)
    parts = regression.bands(targets)
    assert 5 < len(parts) <= regression.MOST
    assert sorted(np.concatenate(parts).tolist()) == list(range(500))
    limits = [(targets[part].min(), targets[part].max()) for part in parts]
    assert all(a[1] < b[0] for a, b in pairwise(limits))
    assert min(map(len, parts)) > 20


def test_few_or_equal_targets_are_one_band() -> None:
    assert [x.tolist() for x in regression.bands(np.arange(3.0))] == [[0, 1, 2]]
    assert len(regression.bands(np.zeros(500))) == 1


def test_wilson_holds_at_its_level_and_never_leaves_0_to_1() -> None:
    for share in (0.02, 0.5, 0.97):
        hits = np.random.default_rng(0).binomial(60, share, 2000)
        low, high = wilson(hits, 60)
        assert np.all(low >= 0)
        assert np.all(high <= 1)
        assert np.mean((low <= share) & (share <= high)) > 0.92
    assert [float(x) for x in wilson(0, 0)] == pytest.approx([0, 1])
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263
    assert [round(float(x), 4) for x in wilson(81, 263)] == [0.2553, 0.3662]
