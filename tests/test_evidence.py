"""What the page says of speed, cost, variants and the number of labels, on made-up results."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from stages import report
from tests.results import Made, make
from tests.test_report import page
from vision import params
from vision.evaluation import results
from vision.evaluation.convergence import course, reached
from vision.evaluation.cost import front
from vision.evaluation.crossing import crossing, crossings, labels_a_class
from vision.evaluation.variants import changes, variants
from vision.params import Run
from vision.reporting import convergence
from vision.reporting.pairs import NEARLY

Maker = Callable[[Made], results.Study]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A function that makes up results in the working directory and loads them."""
    monkeypatch.chdir(tmp_path)
    return lambda made: results.load(make(tmp_path, made))


def rewrite(**content: Any) -> results.Study:
    """The study with other top-level keys in params.yaml."""
    path = Path("params.yaml")
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | content))
    return results.load(params.load())


def course_of(run: Run, scores: list[float], seconds: list[float | None]) -> None:
    """Give a run another history: 100 images an epoch."""
    epochs = np.arange(1, len(scores) + 1)
    history = Path("models") / run.model / f"{run.labels}-{run.seed}" / "history.csv"
    table = pd.DataFrame({"phase": "train", "epoch": epochs, "lr": 0.1, "val_score": scores})
    table[["train_loss", "train_score", "val_loss"]] = 0.5
    table.to_csv(history, index=False)
    moments = {"epoch": epochs, "images": 100 * epochs, "seconds": seconds}
    training = Path("reports/training") / run.model / f"{run.labels}-{run.seed}"
    pd.DataFrame(moments).to_csv(training / "epochs.csv", index=False)


def answer(found: results.Study, rates: dict[tuple[str, str], float], apart: int = 0) -> None:
    """Make models right on so large a share of the test images, in every seed but for a few.

    Args:
        apart: how far the images that transfer gets right lie from those of the others.
    """
    targets = found.prepared.targets("test")
    places = np.arange(len(targets))
    for run in found.params.runs:
        moved = apart if found.kinds[run.model] == "transfer" else 0
        rate = rates[(run.model, str(run.labels))]
        right = (places * 7 + moved) % len(targets) < rate * len(targets) + run.seed
        answers = np.where(right, targets, (targets + 1) % 3)
        np.save(run.under(found.evaluation) / "test.npy", np.eye(3, dtype=np.float32)[answers])


ONE = Made(scratch=("net",), transfer=(), labels=("all",), seeds=(0, 1))


def test_a_share_is_reached_at_the_end_of_the_first_epoch_that_has_it(study: Maker) -> None:
    study(ONE)
    course_of(Run("net", "all", 0), [0.5, 0.92, 0.8, 1.0, 0.9], [10, 20, 30, 40, 50])
    course_of(Run("net", "all", 1), [0.5, 0.6, 0.975, 0.98], [20, 40, 60, 80])
    found = reached(rewrite(), "net", "all")
    assert found
    assert [x.epochs for x in found.values()] == [2.5, 3.5, 3.5]
    assert [x.images for x in found.values()] == [250, 350, 350]
    assert [x.seconds for x in found.values()] == [40, 50, 50]


def test_a_continued_run_has_epochs_but_no_times(study: Maker) -> None:
    study(ONE)
    course_of(Run("net", "all", 1), [0.5, 1.0], [None, None])
    found = rewrite()
    ends = reached(found, "net", "all")
    assert ends
    assert all(np.isnan(x.seconds) and x.epochs > 0 for x in ends.values())
    assert course(found, "net", "all")["seconds"].isna().all()
    report.main()
    assert "interrupted and continued" in page().text
    assert "nan" not in page().text


def test_a_mark_stands_on_its_line(study: Maker) -> None:
    """The line ends with the seed that stopped first, the mean of where all arrived lies beyond."""
    study(ONE)
    course_of(Run("net", "all", 0), [0.5, 0.6, 0.7], [10, 20, 30])
    course_of(Run("net", "all", 1), [i / 12 for i in range(1, 13)], list(range(10, 130, 10)))
    found = rewrite()
    ends = reached(found, "net", "all")
    assert ends
    assert ends[NEARLY].epochs == 7.5
    assert drawn_to(found) == [[3], [30]]
    course_of(Run("net", "all", 1), [0.5, 0.6, 0.7], [30, 40, 50])
    found = rewrite()
    ends = reached(found, "net", "all")
    assert ends
    assert drawn_to(found) == [[3, ends[NEARLY].epochs], [40, ends[NEARLY].seconds]]


def drawn_to(found: results.Study) -> list[list[float]]:
    """How far to the right each line, and then each mark, goes in the chart of convergence."""
    panels = convergence.chart.__wrapped__(found, "all").axes  # type: ignore[attr-defined]
    return [[float(np.max(x.get_xdata())) for x in axes.lines] for axes in panels]


def test_an_error_converges_from_that_of_the_mean(study: Maker) -> None:
    made = Made(classes=(), scratch=("net",), transfer=(), labels=("all",), seeds=(0,))
    found = study(made)
    start = found.results[0].metrics["val"]["baseline_mae"]
    steps = [start, start - 8.9, start - 9.4, start - 9.6, start - 10]
    course_of(Run("net", "all", 0), steps, [1, 2, 3, 4, 5])
    ends = reached(rewrite(), "net", "all")
    assert ends
    assert [x.epochs for x in ends.values()] == [3, 4, 5]


def test_the_front_is_what_nothing_beats_on_both_counts() -> None:
    cost = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    merit = np.array([0.5, 0.7, 0.6, 0.7, 0.9])
    assert front(cost, merit).tolist() == [True, True, False, False, True]
    assert front(np.array([1.0, 1.0]), np.array([0.5, 0.5])).tolist() == [True, True]


def test_changes_are_named_by_their_keys() -> None:
    before = {"net": "cnn", "args": {"depth": 3}, "augment": {"flip": False, "crop": 0}, "x": {}}
    after = {"net": "cnn", "args": {"depth": 4, "skip": True}, "augment": {"flip": True, "crop": 0}}
    assert changes(before, after) == [
        "args.depth: 3 → 4",
        "args.skip: none → true",
        "augment.flip: false → true",
    ]
    assert changes(before, before) == []


def test_variants_of_the_baseline_are_ranked_by_validation(study: Maker) -> None:
    skill = {"base": 0.6, "deep": 0.95, "wide": 0.3}
    made = Made(scratch=tuple(skill), labels=("all",), counts=(240, 300, 90), skill=skill)
    study(made)
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["models"]["deep"]["epochs"] = 9
    content["models"]["wide"]["optimizer"] = {"name": "sgd", "lr": 0.3}
    found = rewrite(baseline="base", models=content["models"])
    deep, wide = variants(found)
    assert (deep.model, wide.model) == ("deep", "wide")
    assert deep.changes == ["epochs: 6 → 9"]
    assert wide.changes == ["optimizer.lr: 0.1 → 0.3"]
    assert deep.difference.clear
    assert deep.difference.value > 0 > wide.difference.value
    rows = found.row("deep", "all"), found.row("base", "all")
    assert deep.difference.value == pytest.approx(
        rows[0]["val_accuracy"] - rows[1]["val_accuracy"], abs=0.02
    )
    report.main()
    assert "Every model with the net or backbone of base" in page().text
    assert "epochs: 6 → 9" in page().text
    assert {"variants", "changes"} <= set(page().ids)
    assert len(page().ids) == len(set(page().ids))


def test_a_line_crosses_where_its_sign_changes() -> None:
    places = np.array([0.0, 1.0, 3.0, 4.0])
    assert crossings(places, np.array([1.0, -1.0, -3.0, 1.0])) == pytest.approx([0.5, 3.75])
    assert len(crossings(places, np.array([1.0, 2.0, 3.0, 4.0]))) == 0


def test_a_line_that_only_touches_does_not_cross() -> None:
    places = np.array([0.0, 1.0, 3.0, 4.0])
    assert len(crossings(places, np.array([0.0, 1.0, 0.0, 1.0]))) == 0
    assert len(crossings(places, np.zeros(4))) == 0
    assert crossings(places, np.array([1.0, 0.0, -3.0, 0.0])) == pytest.approx([1.0])


def test_equal_curves_have_no_leader(study: Maker) -> None:
    found = study(LADDER)
    answer(found, {(model, x): 0.9 for x in STEPS for model in ("net", "tuned")}, apart=0)
    place = crossing(found)
    assert place
    assert place.first is None
    report.main()
    assert "The best of each kind are equal at every number of labels." in page().text


LADDER = Made(scratch=("net",), transfer=("tuned",), labels=("all", 40, 10), counts=(240, 60, 900))
STEPS = ("10", "40", "all")


def test_the_crossing_is_between_the_settings_where_the_lead_changes(study: Maker) -> None:
    found = study(LADDER)
    scratch, transfer = (0.5, 0.7, 0.9), (0.7, 0.8, 0.85)
    answer(found, {("net", x): y for x, y in zip(STEPS, scratch, strict=True)}
        | {("tuned", x): y for x, y in zip(STEPS, transfer, strict=True)})  # fmt: skip
    place = crossing(found)
    assert place
    # from +0.1 at 40 labels to -0.05 at 80, over their logarithm
    assert place.places == pytest.approx([40 * 2 ** (0.1 / 0.15)], rel=0.03)
    assert 40 < place.low < place.places[0] < place.high < 80
    assert place.first == "transfer"
    assert place.clear == 3
    report.main()
    text = page().text
    assert "cross at about 63 labels a class" in text or "cross at about 64 labels" in text
    assert "Below, the best model built on pretrained weights leads" in text


def test_curves_that_do_not_cross_are_said_not_to(study: Maker) -> None:
    found = study(LADDER)
    answer(found, {("net", x): 0.6 for x in STEPS} | {("tuned", x): 0.9 for x in STEPS})
    place = crossing(found)
    assert place
    assert place.places == []
    report.main()
    assert (
        "the curves do not cross: the best model built on pretrained weights leads" in page().text
    )


def test_a_crossing_that_nobody_can_place_has_an_open_interval(study: Maker) -> None:
    found = study(LADDER)
    scratch = {("net", "10"): 0.800, ("net", "40"): 0.800, ("net", "all"): 0.807}
    answer(found, scratch | {("tuned", x): 0.803 for x in STEPS}, apart=200)
    place = crossing(found)
    assert place
    assert len(place.places) == 1
    assert place.low == 0
    assert np.isinf(place.high)
    assert place.clear == 0
    report.main()
    assert "fewer than 10 to more than 80: they may not cross at all" in page().text


def test_more_labels_than_a_class_holds_are_all_of_them(study: Maker) -> None:
    """200 of 80 were drawn beyond all, and the curves crossed where there are no data."""
    found = study(replace(LADDER, labels=("all", 200, 40, 10)))
    steps = ("10", "40", "200", "all")
    answer(found, {("net", x): y for x, y in zip(steps, (0.5, 0.6, 0.6, 0.9), strict=True)}
        | {("tuned", x): 0.7 for x in steps})  # fmt: skip
    assert [labels_a_class(found, x) for x in steps] == [10, 40, 80, 80]
    place = crossing(found)
    assert place
    assert place.range == pytest.approx((10, 80))
    assert place.settings == 3
    assert all(10 <= x <= 80 for x in place.places)


def test_one_number_of_labels_has_no_crossing(study: Maker) -> None:
    assert crossing(study(replace(LADDER, labels=("all", 200)))) is None


def test_every_pair_is_on_the_page_with_its_words(study: Maker) -> None:
    skill = {"simple_cnn": 0.3, "resnet20": 0.9, "frozen": 0.9, "finetuned": 0.95}
    study(Made(counts=(240, 60, 900), labels=("all",), skill=skill))
    report.main()
    text = page().text
    assert text.count("not clearly different") + text.count(" better +") >= 6
    assert "corrected after Holm for being 5" in text


def test_times_on_different_hardware_have_no_ratio(study: Maker) -> None:
    study(Made(labels=("all",)))
    report.main()
    assert "the time per image" in page().text
    for path in Path("reports/training/finetuned").rglob("cost.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "NVIDIA H200"}))
    report.main()
    text = page().text
    assert "ran on different hardware. Do not compare their times" in text
    assert "the time per image" not in text
