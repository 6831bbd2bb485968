"""Intervals and tests of differences, on predictions whose truth is known."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from vision.evaluation import bootstrap
from vision.evaluation.bootstrap import Seeds
from vision.evaluation.comparison import Comparison

Array = NDArray[np.float64]


def answers(
    rates: Mapping[str, float],
    *,
    images: int,
    seeds: int,
    trial: int = 0,
    luck: float = 0.0,
    shared: float = 0.6,
) -> Comparison:
    """Models that are right on these shares of all images.

    Args:
        luck: spread of a seed's skill, on the scale of a normal threshold.
        shared: how much of what makes an image hard is the same for all models, 0..1.
    """
    generator = np.random.default_rng(trial)
    hard = generator.standard_normal(images) * shared**0.5
    found = {}
    for name, rate in rates.items():
        own = generator.standard_normal((seeds, images)) * (1 - shared) ** 0.5
        skill = norm.ppf(rate) * (1 + luck**2) ** 0.5 + luck * generator.standard_normal((seeds, 1))
        found[name] = (skill + hard + own > 0).astype(float)
    return Comparison(found, answers=True)


def held(comparison: Comparison, true: float = 0.8) -> tuple[bool, bool]:
    """Whether the intervals of a model and of two equal models' difference hold the truth."""
    merits = list(comparison.merits.values())
    draws = bootstrap.images(merits, draws=499)
    low, high = bootstrap.interval(draws[0], Seeds.of(merits[0]))
    least, most = bootstrap.interval(draws[0] - draws[1], Seeds.of(*merits))
    return low <= true <= high, least <= 0 <= most


@pytest.mark.parametrize(("seeds", "luck"), [(1, 0.0), (3, 0.0), (3, 0.1), (3, 0.3), (6, 0.2)])
def test_intervals_hold_the_truth_at_about_their_level(seeds: int, luck: float) -> None:
    equal = {"a": 0.8, "b": 0.8}
    found = [
        held(answers(equal, images=300, seeds=seeds, luck=luck, trial=trial))
        for trial in range(300)
    ]
    one, difference = np.mean(found, axis=0)
    assert 0.91 <= one <= 0.99
    assert 0.93 <= difference <= 1


def test_intervals_of_errors_hold_the_truth_too() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        hard = generator.exponential(3, 200)
        merits = -(hard + generator.exponential(2, (3, 200)))
        draws = bootstrap.images([merits], draws=499)
        low, high = bootstrap.interval(draws[0], Seeds.of(merits))
        held += low <= -5 <= high
    assert 0.91 <= held / 200 <= 0.99


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_models_are_called_equal(seeds: int) -> None:
    called = 0
    for trial in range(40):
        pair = answers({"a": 0.9, "b": 0.9}, images=500, seeds=seeds, luck=0.1, trial=trial)
        same = Comparison({"a": pair.merits["a"], "b": pair.merits["a"]}, answers=True)
        assert not same.difference("a", "b").clear
        if seeds > 1:  # what seeds add cannot be seen with one
            called += pair.difference("a", "b").clear
    assert called <= 4


@pytest.mark.parametrize("seeds", [1, 3])
def test_five_points_are_found_among_2000_images(seeds: int) -> None:
    found = []
    for trial in range(40):
        pair = answers({"a": 0.9, "b": 0.85}, images=2000, seeds=seeds, luck=0.02, trial=trial)
        gap = pair.difference("a", "b")
        found.append(gap.clear and gap.low < gap.value < gap.high and gap.low < 0.05 < gap.high)
    assert np.mean(found) >= 0.85


def test_ten_points_are_found_among_many_pairs() -> None:
    names = {f"m{i}": 0.9 for i in range(11)} | {"worse": 0.8}
    comparison = answers(names, images=1000, seeds=5, luck=0.03)
    clear = {x.first: x.difference.clear for x in comparison.pairs(list(names), None)}
    assert sum(clear.values()) == 11, "each against `worse`, its last pair"


@pytest.mark.parametrize(("images", "clear"), [(1, False), (5, False), (6, True), (50, True)])
def test_few_images_are_too_few_however_far_models_are_apart(images: int, clear: bool) -> None:
    shape = (3, images)
    pair = Comparison({"a": np.ones(shape), "b": np.zeros(shape)}, answers=True)
    gap = pair.difference("a", "b")
    assert gap.clear == clear
    assert gap.low < gap.high == 1


def test_four_images_are_too_few_to_differ_in() -> None:
    alike, apart = np.ones((3, 16)), np.ones((3, 4))
    merits = {"a": np.hstack([alike, apart]), "b": np.hstack([alike, 0 * apart])}
    gap = Comparison(merits, answers=True).difference("a", "b")
    assert gap.p == 0.125, "as four coins that fall alike"


def test_a_pair_is_the_same_from_both_sides() -> None:
    pair = answers({"a": 0.9, "b": 0.8}, images=300, seeds=3)
    forth, back = pair.difference("a", "b"), pair.difference("b", "a")
    assert (back.value, back.low, back.high) == pytest.approx(
        (-forth.value, -forth.high, -forth.low), abs=1e-5
    )
    assert back.p == pytest.approx(forth.p)


def test_the_same_predictions_make_the_same_numbers() -> None:
    first, second = (answers({"a": 0.9, "b": 0.8}, images=300, seeds=3) for _ in range(2))
    assert first.pairs(["a", "b"], None) == second.pairs(["a", "b"], None)


def test_luck_of_seeds_widens_the_interval_and_a_single_seed_cannot_show_it() -> None:
    def width(seeds: int, luck: float) -> float:
        low, high = answers({"a": 0.8}, images=1000, seeds=seeds, luck=luck).intervals["a"]
        return high - low

    assert width(3, 0.3) > 2 * width(3, 0.0)
    assert width(1, 0.3) < 1.2 * width(1, 0.0)


def test_a_model_without_mistakes_may_still_make_some() -> None:
    right, wrong = np.ones((3, 359)), np.zeros((3, 359))
    pair = Comparison({"right": right, "wrong": wrong, "again": right}, answers=True)
    assert pair.intervals["right"] == pytest.approx((1 - 0.0106, 1), abs=1e-4)
    assert pair.intervals["wrong"] == pytest.approx((0, 0.0106), abs=1e-4)
    gap = pair.difference("right", "again")
    assert (gap.low, gap.value, gap.high) == pytest.approx((-0.0102, 0, 0.0102), abs=1e-4)


def test_a_single_seed_of_answers_has_mcnemars_exact_test() -> None:
    # 10 images that the first alone gets right, 2 that the second does: 158 / 4096 by hand
    first = np.array([[1.0] * 10 + [0.0] * 2 + [1.0] * 50])
    second = np.array([[0.0] * 10 + [1.0] * 2 + [1.0] * 50])
    pair = Comparison({"a": first, "b": second}, answers=True)
    assert pair.difference("a", "b").p == pytest.approx(158 / 4096)


def test_many_pairs_are_corrected_but_the_planned_one() -> None:
    assert bootstrap.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert bootstrap.holm([0.5, 0.9]) == [1.0, 1.0]
    assert bootstrap.holm([]) == []
    names = {f"m{i}": 0.8 + 0.01 * i for i in range(5)}
    comparison = answers(names, images=400, seeds=1)
    pairs = comparison.pairs(list(names), ("m0", "m1"))
    assert len(pairs) == 10
    alone = [comparison.difference(x.first, x.second).p for x in pairs]
    assert pairs[0].difference.p == alone[0]
    assert [x.difference.p for x in pairs[1:]] == pytest.approx(bootstrap.holm(alone[1:]))
    assert any(x.difference.p > p for x, p in zip(pairs[1:], alone[1:], strict=True))


def test_among_many_models_of_one_seed_a_plain_difference_is_still_seen() -> None:
    generator = np.random.default_rng(0)
    errors = {f"{k:02d}": generator.normal(k, 1.0, (1, 100)) for k in range(17)}
    compared = Comparison({name: -error for name, error in errors.items()}, answers=False)
    pairs = compared.pairs(list(errors), None)
    assert len(pairs) == 136
    assert all(pair.difference.clear for pair in pairs)


def test_equal_seeds_are_equal_whatever_their_rounding() -> None:
    """Three equal numbers may have another mean: p was 6e-30 where it should have been 4e-4."""
    for right in range(300, 359):
        merits = np.tile(np.arange(359) < right, (3, 1)).astype(float)
        assert Seeds.of(merits).error == 0


def test_one_mistake_does_not_look_surer_than_none() -> None:
    def low(mistakes: int) -> float:
        merits = (np.arange(359)[None] >= mistakes).astype(float)
        return Comparison({"a": merits}, answers=True).intervals["a"][0]

    lows = [low(mistakes) for mistakes in range(8)]
    assert lows == sorted(lows, reverse=True)


def test_accuracies_differ_by_no_more_than_all_images() -> None:
    """Two seeds, one of which failed."""
    failed = np.stack([np.ones(90), np.zeros(90)])
    gap = Comparison({"a": failed, "b": np.ones((2, 90))}, answers=True).difference("a", "b")
    assert (gap.low, gap.high) == (-1, 1)


def test_a_mean_error_is_not_below_zero() -> None:
    merits = -np.abs(np.random.default_rng(0).normal([[1.0], [6.0]], 0.5, (2, 200)))
    low, high = Comparison({"a": merits}, answers=False).intervals["a"]
    assert low < -6
    assert high == 0


@pytest.mark.parametrize("images", [1, 2, 8])
def test_errors_on_a_few_images_are_rarely_called_different(images: int) -> None:
    called = 0
    for trial in range(200):
        generator = np.random.default_rng(trial)
        merits = {name: -np.abs(generator.normal(0, 1, (1, images))) for name in "ab"}
        called += Comparison(merits, answers=False).difference("a", "b").clear
    assert called <= 16
