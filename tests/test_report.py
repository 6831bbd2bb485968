"""The report of made-up results: which model wins, the files, and the page."""

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc_render.vega import VegaRenderer  # type: ignore[import-untyped]
from PIL import Image

from stages import report
from tests.results import Made, make, write_run
from tests.study import ROOT
from vision import params
from vision.errors import UserError
from vision.evaluation import results
from vision.evaluation.suspects import suspects
from vision.params import Run
from vision.prepared import SPLITS, Prepared
from vision.reporting import bands, listings, pictures, sizes, spread
from vision.reporting.words import NOTHING, SPACE, TIMES, duration, large, short, target

Maker = Callable[[Made], results.Study]

SMALL = Made()
REGRESSION = Made(classes=(), labels=("all",))
HOSTILE = "<script>alert('x')</script> & \"$y$\""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A function that makes up results in the working directory and loads them."""
    monkeypatch.chdir(tmp_path)
    return lambda made: results.load(make(tmp_path, made))


class Page(HTMLParser):
    """What a browser would see: words, tags, and the addresses of what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.unnamed: list[str] = []
        self.ids: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        names = ("src", "href", "xlink:href", "srcset", "poster", "action", "data")
        self.addresses += [found[name] or "" for name in names if name in found]
        self.ids += [found["id"] or ""] if "id" in found and tag in ("figure", "section") else []
        if tag == "svg" and not found.get("aria-label"):
            self.unnamed.append(tag)
        self._silent += tag in ("script", "style", "pre")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "pre")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page() -> Page:
    parsed = Page()
    parsed.feed(Path("reports/index.html").read_text(encoding="utf-8"))
    return parsed


def nudge(run: Run, split: str, key: str, value: float) -> None:
    """Overwrite one metric of a run."""
    path = run.under(Path("reports/evaluation")) / "metrics.json"
    content = json.loads(path.read_text())
    content[split][key] = value
    path.write_text(json.dumps(content))


def test_summary_is_mean_and_sample_standard_deviation(study: Maker) -> None:
    found = study(SMALL)
    scores = [x.metrics["test"]["accuracy"] for x in found.of("frozen", "10")]
    row = found.row("frozen", "10")
    assert row["seeds"] == 3
    assert row["test_accuracy"] == pytest.approx(np.mean(scores))
    assert row["test_accuracy_std"] == pytest.approx(np.std(scores, ddof=1))
    assert row["gap"] == pytest.approx(row["train_accuracy"] - row["test_accuracy"])


def test_validation_chooses_and_test_does_not(study: Maker) -> None:
    found = study(SMALL)
    for run in found.params.runs:
        nudge(run, "val", "accuracy", 0.9 if run.model == "simple_cnn" else 0.5)
        nudge(run, "test", "accuracy", 0.1 if run.model == "simple_cnn" else 0.99)
    found = results.load(found.params)
    assert found.winner == "simple_cnn"
    assert found.rival in found.params.transfer


def test_the_largest_labels_setting_chooses(study: Maker) -> None:
    found = study(Made(labels=(5, 20, 10)))
    assert found.labels == ["20", "10", "5"]
    for run in found.params.runs:
        best = "frozen" if run.labels == 20 else "resnet20"
        nudge(run, "val", "accuracy", 0.9 if run.model == best else 0.5)
    assert results.load(found.params).winner == "frozen"


def test_validation_loss_breaks_ties(study: Maker) -> None:
    found = study(SMALL)
    for run in found.params.runs:
        nudge(run, "val", "accuracy", 0.9)
        nudge(run, "val", "loss", 0.1 if run.model == "resnet20" else 0.2)
    assert results.load(found.params).winner == "resnet20"
    report.main()
    assert "of those that share it, its loss is the least" in page().text


def test_another_measure_may_choose(study: Maker) -> None:
    found = study(SMALL)
    for run in found.params.runs:
        nudge(run, "val", "accuracy", 0.9 if run.model == "simple_cnn" else 0.5)
        nudge(run, "val", "loss", 0.1 if run.model == "resnet20" else 0.2)
    for select, winner in (("accuracy", "simple_cnn"), ("loss", "resnet20")):
        content = yaml.safe_load(Path("params.yaml").read_text())
        Path("params.yaml").write_text(yaml.safe_dump(content | {"select": {"metric": select}}))
        assert results.load(params.load()).winner == winner


def chosen_by_f1(found: results.Study, accuracy: dict[str, float], test_f1: float = 0.72) -> str:
    """The page's text where simple_cnn has the best validation F1, and resnet20 is better on test;
    both from scratch, with this validation accuracy.

    Args:
        test_f1: simple_cnn's; resnet20 has 0.61.
    """
    targets = found.prepared.targets("test")
    for run in found.params.runs:
        right = np.arange(len(targets)) % 20 < (19 if run.model == "resnet20" else 10)
        answers = np.where(right, targets, (targets + 1) % 3)
        np.save(run.under(found.evaluation) / "test.npy", np.eye(3, dtype=np.float32)[answers])
        nudge(run, "val", "f1", 0.7 if run.model == "simple_cnn" else 0.6)
        nudge(run, "test", "f1", test_f1 if run.model == "simple_cnn" else 0.61)
        nudge(run, "val", "accuracy", accuracy[run.model])
    content = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(content | {"select": {"metric": "f1"}}))
    report.main()
    return page().text


def test_two_measures_that_disagree_are_no_fault_of_validation(study: Maker) -> None:
    """Accuracy puts resnet20 first on validation and on test alike."""
    found = study(Made(transfer=(), labels=("all",)))
    text = chosen_by_f1(found, {"simple_cnn": 0.5, "resnet20": 0.9})
    assert "simple_cnn won on validation by F1, but resnet20 is better on test by" in text
    assert "points in accuracy." in text
    assert "Their F1 on test: 72.0 % and 61.0 %." in text
    assert "Accuracy and F1 name different models" in text
    assert "Validation and test disagree" not in text
    assert (
        json.loads(Path("reports/metrics.json").read_text())["simple_cnn"]["all"]["val_f1"] == 0.7
    )


@pytest.mark.parametrize(
    ("ahead", "test_f1"),
    [("simple_cnn", 0.72), ("resnet20", 0.5)],
    ids=["accuracy misled", "F1 misled"],
)
def test_validation_that_misleads_is_said_whatever_chose(
    study: Maker, ahead: str, test_f1: float
) -> None:
    found = study(Made(transfer=(), labels=("all",)))
    accuracy = {name: 0.9 if name == ahead else 0.5 for name in found.kinds}
    text = chosen_by_f1(found, accuracy, test_f1)
    assert "Validation and test disagree" in text
    assert "name different models" not in text


def test_a_ratio_of_times_comes_with_its_range_over_seeds(study: Maker) -> None:
    found = study(SMALL)
    for run in found.params.runs:
        path = run.under(Path("reports/training")) / "cost.json"
        cost = json.loads(path.read_text())
        cost["seconds"] = {0: 10, 1: 20, 2: 30}[run.seed] if run.model == found.winner else 20
        path.write_text(json.dumps(cost))
    report.main()
    assert f"1.0 {TIMES}" in page().text
    assert f"'s; 0.50 to 1.5 {TIMES} by seed" in page().text


def test_mean_images_of_numbers_are_taken_from_all_of_a_fifth(study: Maker) -> None:
    """Its 400 smallest were averaged."""
    found = study(replace(REGRESSION, counts=(5000, 60, 90)))
    images = np.zeros((5000, 8, 8, 1), np.uint8)
    order = np.argsort(found.prepared.targets("train"), kind="stable")
    images[order] = (np.arange(5000) // 20)[:, None, None, None]
    np.save(found.prepared.root / "train.npy", images)
    pngs = [base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)", pictures.means(found))]
    shown = [np.asarray(Image.open(io.BytesIO(png))).mean() for png in pngs]
    assert shown == pytest.approx([25, 75, 125, 175, 225], abs=1)


def test_the_smallest_error_wins_a_regression(study: Maker) -> None:
    skill = {"simple_cnn": 0.5, "resnet20": 0.9, "frozen": 0.8, "finetuned": 0.6}
    found = study(Made(classes=(), labels=("all",), skill=skill))
    assert (found.winner, found.rival) == ("resnet20", "frozen")
    assert found.difference("resnet20", "frozen", "all").low > 0


def test_leftovers_of_dropped_runs_change_nothing(study: Maker) -> None:
    found = study(SMALL)
    report.main()
    before = {path: path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()}
    prepared = Prepared(Path("data/prepared"))
    targets: dict[str, Any] = {split: prepared.targets(split) for split in SPLITS}
    for run in (Run("dropped", "all", 0), Run("frozen", 50, 0), Run("frozen", "all", 9)):
        write_run(Path(), run, SMALL, targets)
    report.main()
    assert found.params == params.load()
    for path, content in before.items():
        assert path.read_bytes() == content, path


def test_a_difference_is_zero_for_equal_models_and_clear_for_unequal_ones(study: Maker) -> None:
    found = study(Made(counts=(240, 60, 900), skill={"frozen": 0.9, "finetuned": 0.7}))
    same = found.difference("frozen", "frozen", "all")
    assert same.value == 0
    assert not same.clear
    forth = found.difference("frozen", "finetuned", "all")
    back = found.difference("finetuned", "frozen", "all")
    assert forth.clear
    assert 0 < forth.low < forth.value < forth.high
    assert (back.value, back.low) == pytest.approx((-forth.value, -forth.high))
    rows = found.row("frozen", "all"), found.row("finetuned", "all")
    assert forth.value == pytest.approx(rows[0]["test_accuracy"] - rows[1]["test_accuracy"])


def test_the_interval_holds_at_its_level(study: Maker) -> None:
    """Two equally good models: about one interval in twenty may leave zero out, not more."""
    found = study(Made(seeds=(0, 1, 2), labels=("all",), counts=(60, 60, 300)))
    clear = 0
    targets = found.prepared.targets("test")
    for trial in range(60):
        generator = np.random.default_rng(trial)
        for run in found.params.runs:
            right = generator.random(len(targets)) < 0.8
            answers = np.where(right, targets, (targets + 1) % 3)
            np.save(run.under(found.evaluation) / "test.npy", np.eye(3, dtype=np.float32)[answers])
        clear += found.difference("frozen", "finetuned", "all").clear
    assert clear <= 6


def test_a_missing_file_is_named(study: Maker) -> None:
    study(SMALL)
    Path("models/frozen/10-1/history.csv").unlink()
    with pytest.raises(UserError, match=r"models/frozen/10-1/history\.csv is missing: run `dvc"):
        report.main()


def test_files_of_a_classification_study(study: Maker) -> None:
    found = study(SMALL)
    line = report.main()
    assert "reports/index.html" in line
    assert found.winner in line

    metrics = json.loads(Path("reports/metrics.json").read_text())
    assert list(metrics) == ["winner", "simple_cnn", "resnet20", "frozen", "finetuned"]
    assert set(metrics["frozen"]["10"]) == {"val_accuracy", "test_accuracy"}
    costs = json.loads(Path("reports/costs.json").read_text())
    assert costs["frozen"]["all"]["parameters"] == 272_000

    table = pd.read_csv("reports/comparison.csv", dtype={"labels": str})
    assert len(table) == 8
    for name in ("test_f1", "test_f1_std", "gap", "multiply_adds", "seconds", "low", "high"):
        assert table[name].notna().all(), name
    curves = pd.read_csv("reports/plots/curves.csv")
    assert list(curves) == ["epoch", "model", "labels", "train_loss", "val_loss", "val_score"]
    assert len(curves) == 8 * SMALL.epochs
    calibration = pd.read_csv("reports/plots/calibration.csv")
    shares = calibration.groupby("model")["share"].sum()
    assert shares.to_dict() == pytest.approx(dict.fromkeys(found.kinds, 1), abs=1e-4)
    confusion = pd.read_csv("reports/plots/confusion.csv")
    right = (confusion["actual"] == confusion["predicted"]).mean()
    first = found.of(found.winner, "all")[0]
    assert right == pytest.approx(first.metrics["test"]["accuracy"])


@pytest.mark.parametrize("plot", ["learning-curves", "losses", "few-labels", "calibration"])
def test_dvc_can_overlay_plots_of_two_revisions(study: Maker, plot: str) -> None:
    study(SMALL)
    report.main()
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    (found,) = (entry[plot] for entry in plots if plot in entry)
    ((file, y),) = found["y"].items()
    table = pd.read_csv(file).astype(str)
    rows = [row | {"rev": rev} for rev in ("workspace", "main") for row in table.to_dict("records")]
    renderer = VegaRenderer(
        rows,
        plot,
        x=found["x"],
        y=y,
        template=found["template"],
        template_dir=str(ROOT / ".dvc" / "plots"),
    )
    filled = renderer.get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled)
    lines = filled["spec"].get("layer", [filled["spec"]])[-1]
    assert lines["encoding"]["color"]["scale"]["domain"] == ["workspace", "main"]
    assert {found["x"], y, filled["facet"]["field"]} <= set(table)


def test_the_summary_is_a_table_of_plain_text(study: Maker) -> None:
    found = study(Made(scratch=("__bold__",), counts=(240, 90, 900)))
    report.main()
    lines = Path("reports/summary.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("## ")
    table = [line for line in lines if line.startswith("|")]
    half = 2 + 2 * len(found.kinds)
    assert len(table) == 2 * half
    for rows in (table[:half], table[half:]):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    assert any(r"\_\_bold\_\_" in line for line in table)
    assert "dvc repro" in lines[-1]


def test_the_page_says_how_large_the_images_came(study: Maker) -> None:
    found = study(replace(SMALL, original=(12, 6)))
    assert sizes.sentence(found) == (
        "The images came 12 pixels wide and 6 pixels high. Each was cut to its middle square, "
        "which took 50\u202f% of an image on average. 390 images had fewer than 8 pixels on the "
        "shorter side and had to be enlarged."
    )
    table = pd.read_csv("data/prepared/samples.csv")
    table.loc[:9, ["width", "height"]] = 1200, 1600
    table.to_csv("data/prepared/samples.csv", index=False)
    assert "12 to 1,200 pixels wide (median 12)" in sizes.sentence(found)
    table.loc[:, ["width", "height"]] = 8
    table.to_csv("data/prepared/samples.csv", index=False)
    assert sizes.sentence(found) == "Every image came in this size."


def test_curves_stop_where_the_first_seed_stopped(study: Maker) -> None:
    study(SMALL)
    path = Path("models/frozen/all-1/history.csv")
    pd.read_csv(path).head(2).to_csv(path, index=False)
    report.main()
    curves = pd.read_csv("reports/plots/curves.csv").query("model == 'frozen' and labels == 'all'")
    assert curves["epoch"].tolist() == [1, 2]


def test_the_same_results_make_the_same_bytes(study: Maker) -> None:
    study(SMALL)
    report.main()
    files = [path for path in Path("reports").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    for path in files:
        if "training" not in path.parts and "evaluation" not in path.parts:
            path.unlink()
    report.main()
    assert {path: path.read_bytes() for path in files} == before
    assert Path("reports/figures/comparison.svg") in before


def test_metrics_hold_nothing_that_varies(study: Maker) -> None:
    study(SMALL)
    report.main()
    before = Path("reports/metrics.json").read_bytes()
    for path in Path("reports/training").rglob("cost.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"seconds": content["seconds"] * 1.1}))
    report.main()
    assert Path("reports/metrics.json").read_bytes() == before


def test_figures_of_an_earlier_study_are_gone(study: Maker) -> None:
    study(SMALL)
    old = Path("reports/figures/curves-999.svg")
    old.parent.mkdir()
    old.write_text("old")
    report.main()
    assert not old.exists()


def test_the_page_makes_no_request_and_names_its_figures(study: Maker) -> None:
    study(SMALL)
    report.main()
    parsed = page()
    assert parsed.addresses
    assert all(address.startswith(("#", "data:image/png")) for address in parsed.addresses)
    assert not {"link", "iframe", "object", "embed", "base"} & set(parsed.tags)
    css = Path("reports/index.html").read_text(encoding="utf-8")
    assert "@import" not in css
    assert set(re.findall(r"url\((.)", css)) <= {"#"}
    assert not parsed.unnamed
    anchors = {address[1:] for address in parsed.addresses if address.startswith("#")}
    assert set(parsed.ids) >= {name for name in anchors if name in ("compare", "data", "how")}
    assert len(parsed.ids) == len(set(parsed.ids))


def test_the_page_gives_the_verdict_first(study: Maker) -> None:
    found = study(Made(counts=(240, 90, 900)))
    report.main()
    text = page().text
    row = found.row(found.winner, "all")
    assert found.winner in text[:400]
    assert f"{100 * row['test_accuracy']:.1f}" in text[:900]
    assert "95" in text[:900]
    assert "validation split stays whole" in text
    assert "AMD EPYC, 2 cores" in text


def test_mistakes_of_both_kinds_are_shown_with_what_the_model_saw(study: Maker) -> None:
    found = study(SMALL)
    report.main()
    assert {"mistakes-winner", "mistakes-rival"} <= set(page().ids)
    first = found.of(found.winner, "all")[0].run
    sheet = Path("reports/figures/mistakes-winner.svg").read_text(encoding="utf-8")
    # a picture, the same in grey, and the map over it
    assert sheet.count("<image") == 3 * len(found.mistakes(first).index) > 0


def test_an_image_that_every_run_gets_wrong_is_a_suspect(study: Maker) -> None:
    found = study(Made(skill=dict.fromkeys(("simple_cnn", "resnet20", "frozen", "finetuned"), 1.0)))
    report.main()
    assert "suspects" not in page().ids
    assert "nothing points to a wrong label" in page().text
    target = int(found.prepared.targets("test")[7])
    for number, result in enumerate(x for x in found.results if x.run.labels == "all"):
        path = result.run.under(found.evaluation) / "test.npy"
        outputs = np.load(path)
        outputs[7] = np.eye(3)[(target + (1 if number < 10 else 2)) % 3] * 9
        np.save(path, outputs)
    report.main()
    assert [(x.index, x.answer, x.runs) for x in suspects(found)] == [(7, (target + 1) % 3, 10)]
    assert "suspects" in page().ids
    assert "Wrong in all 12 runs" in page().text


def test_the_data_are_described(study: Maker) -> None:
    study(Made(counts=(7, 60, 90)))
    report.main()
    text = page().text
    assert "157 images of" in text
    assert "pixels, grey, in 3 classes." in text
    assert "The largest class in training, cat, has 3 images, 1.5" in text
    assert "Such as train/a.png = test/b.png" in text
    assert "broken <b>.png (truncated)" in text
    assert {"samples", "means", "distribution"} <= set(page().ids)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (240, "Each class has 80 training images."),
        (241, "Each class has 80 to 81 training images."),
    ],
)
def test_classes_of_one_size_are_not_compared(study: Maker, images: int, said: str) -> None:
    assert spread.balance(study(Made(counts=(images, 60, 90)))) == said


def test_one_seed_says_so(study: Maker) -> None:
    study(Made(seeds=(0,)))
    report.main()
    assert "One seed: no spread; do not read small differences." in page().text
    assert pd.read_csv("reports/comparison.csv")["test_accuracy_std"].isna().all()


def test_equal_models_are_too_close_to_call(study: Maker) -> None:
    study(Made(skill=dict.fromkeys(("simple_cnn", "resnet20", "frozen", "finetuned"), 0.8)))
    report.main()
    assert "Too close to call" in page().text


def test_different_machines_are_not_compared_in_silence(study: Maker) -> None:
    study(SMALL)
    path = Path("reports/training/frozen/all-0/cost.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "NVIDIA H200"}))
    report.main()
    assert "Do not compare their times" in page().text


def test_the_page_says_so_when_bytes_may_vary_and_when_views_are_averaged(study: Maker) -> None:
    study(SMALL)
    said = []
    for runtime, evaluation in (({}, {}), ({"determinism": False}, {"views": "flip"})):
        content = yaml.safe_load(Path("params.yaml").read_text())
        content.update(runtime=runtime, evaluation=evaluation)
        Path("params.yaml").write_text(yaml.safe_dump(content))
        report.main()
        text = page().text
        said.append(("not the same bytes" in text, "mean over several views" in text))
    assert said == [(False, False), (True, True)]


def test_a_regression_page_speaks_of_numbers_only(study: Maker) -> None:
    found = study(replace(REGRESSION, corruptions=True))
    for run in found.params.runs:
        outputs = found.predictions(run, "test").copy()
        outputs[3] += 200
        np.save(run.under(found.evaluation) / "test.npy", outputs)
    report.main()
    text = page().text
    alternatives = " ".join(
        re.findall(r'aria-label="(.*?)"', Path("reports/index.html").read_text())
    )
    for words in (text, alternatives):
        assert not re.findall(r"class|accura|confus|precision|recall|label|%\spoints", words, re.I)
        assert "mean error" in words.lower()
        assert "years" in text
    assert re.search(r'class="value">[^<]*\d years<', Path("reports/index.html").read_text())
    assert "Off the same way in all 12 runs" in text
    assert "always the training median" in text
    assert "In the 90" in text
    metrics = json.loads(Path("reports/metrics.json").read_text())
    assert set(metrics["frozen"]["all"]) == {"val_mae", "test_mae"}
    assert list(pd.read_csv("reports/plots/predictions.csv")) == ["actual", "predicted"]
    assert not Path("reports/plots/confusion.csv").exists()


def test_a_tolerance_has_its_column_and_few_images_have_no_intervals(study: Maker) -> None:
    made = replace(REGRESSION, counts=(60, 8, 30))
    found = study(made)
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["evaluation"]["tolerance"] = 5
    Path("params.yaml").write_text(yaml.safe_dump(content))
    for run in found.params.runs:
        for split in SPLITS:
            nudge(run, split, "within", 0.625)
    report.main()
    text = page().text
    assert "Within 5 years" in " ".join(text.split())
    assert "62.5" in text
    assert pd.read_csv("reports/comparison.csv")["test_within"].unique() == [0.625]
    assert "too small for intervals" in text
    assert "In the 90" not in text


def test_a_tolerance_is_in_the_chart_however_wide(study: Maker) -> None:
    study(REGRESSION)
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["evaluation"]["tolerance"] = 500
    Path("params.yaml").write_text(yaml.safe_dump(content))
    (axes,) = bands.within.__wrapped__(results.load(params.load())).axes  # type: ignore[attr-defined]
    assert axes.get_xlim()[1] > 500


def test_few_test_images_have_no_bands(study: Maker) -> None:
    study(replace(REGRESSION, counts=(60, 20, 30)))
    report.main()
    assert "Fitted on 20 validation images" in page().text
    assert "bands of the true value" not in page().text


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (short(9.96), "10"),
        (short(0.0996), "0.10"),
        (short(340.2), "340"),
        (large(999.7), "1.0 k"),
        (large(999_950), "1.0 M"),
        (large(54_321), "54 k"),
        (duration(59.96), "60 s"),
    ],
)
def test_numbers_are_rounded_before_their_digits_are_counted(number: str, shown: str) -> None:
    assert number.replace(SPACE, " ") == shown


@pytest.mark.parametrize("made", [SMALL, REGRESSION], ids=["classes", "numbers"])
def test_images_made_worse_have_a_section_where_they_were_asked_for(
    study: Maker, made: Made
) -> None:
    found = study(replace(made, corruptions=True))
    report.main()
    text = page().text
    assert "When images are worse" in text
    assert f"{found.winner}'s {'accuracy' if made.classes else 'mean error'} is" in text
    assert "The hardest for it is noise" in text
    assert "Measured on 50 test images" in text
    # noise takes 0.1 (or adds 2) a strength, JPEG half of that: 0.225 (or 4.5) on average
    row = found.row(found.winner, "all")
    mean = 100 * (row["test_accuracy"] - 0.225) if made.classes else row["test_mae"] + 4.5
    assert f"{mean:.{1 if made.classes else 2}f}" in text
    assert Path("reports/figures/robustness.svg").exists()


def test_images_made_worse_are_no_section_where_they_were_not_asked_for(study: Maker) -> None:
    study(SMALL)
    report.main()
    assert "When images are worse" not in page().text


def test_a_model_that_learned_nothing_is_called_so(study: Maker) -> None:
    study(Made(classes=(), labels=("all",), scratch=("a",), transfer=(), skill={"a": -3.0}))
    report.main()
    assert "always predicting the training mean" in page().text


def test_equal_scores_are_a_tie_in_whatever_order_they_are_added_up(study: Maker) -> None:
    found = study(SMALL)
    scores = [0.9720279720279720, 0.8671328671328671, 0.8531468531468531]
    for run in found.params.runs:
        first = run.model in ("simple_cnn", "frozen")
        nudge(run, "val", "accuracy", (scores if first else scores[::-1])[run.seed])
        nudge(run, "val", "loss", 0.1 if run.model == "resnet20" else 0.2)
    assert results.load(found.params).winner == "resnet20"


def test_a_single_run_says_nothing_of_wrong_labels(study: Maker) -> None:
    study(Made(scratch=("net",), transfer=(), seeds=(0,)))
    report.main()
    assert "nothing points to a wrong label" not in page().text
    assert "suspects" not in page().ids


def test_the_measure_that_chooses_heads_its_column(study: Maker) -> None:
    study(SMALL)
    content = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(content | {"select": {"metric": "f1"}}))
    report.main()
    assert "Validation F1" in page().text
    assert "Validation accuracy" not in page().text.split("Learning")[0]


def test_a_class_without_test_images_comes_last_without_numbers(study: Maker) -> None:
    found = study(Made(classes=("cat", "dog", "ship"), labels=("all",)))
    for run in found.params.runs:
        path = run.under(Path("reports/evaluation")) / "metrics.json"
        content = json.loads(path.read_text())
        content["test"]["confusion"] = [[40, 5, 0], [3, 42, 0], [0, 0, 0]]
        path.write_text(json.dumps(content))
    rows = listings.per_class(results.load(found.params)).rows
    assert rows[-1][0].text == "ship"
    assert {cell.text for cell in rows[-1][2:]} == {NOTHING}
    report.main()
    keys = re.findall(r'class="n" data-key="([^"]*)"', Path("reports/index.html").read_text())
    # "inf" is no number to a browser, and what is no number cannot be sorted
    assert "Infinity" in keys
    assert all(re.fullmatch(r"-?(Infinity|[\d.]+(e[+-]\d+)?)", key) for key in keys)


def test_numbers_close_together_are_told_apart(study: Maker) -> None:
    """36.9 and 37.3 degrees were both 37."""
    found = study(replace(REGRESSION, unit="micrograms per cubic metre of air"))
    path = found.prepared.root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_std": 0.4}))
    found = results.load(found.params)
    assert target(found, 36.94) == "36.94"
    report.main()
    assert "micrograms per cubic metre of air" in page().text


def test_a_network_that_answers_one_class_is_called_so(study: Maker) -> None:
    found = study(SMALL)
    for run in found.params.runs:
        if run.model == "resnet20":
            nudge(run, "test", "accuracy", 1 / 3)
    report.main()
    assert "resnet20: no better than always answering the commonest class" in page().text


def test_a_test_split_of_one_class_is_called_so(study: Maker) -> None:
    found = study(SMALL)
    path = found.prepared.root / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["class_counts"]["test"] = [manifest["counts"]["test"], 0, 0]
    path.write_text(json.dumps(manifest))
    for run in found.params.runs:
        nudge(run, "test", "accuracy", 1.0)
    report.main()
    assert "All test images are of one class" in page().text
    assert "commonest class" not in page().text


def test_fine_tuning_that_was_thrown_away_is_called_so(study: Maker) -> None:
    study(Made(labels=("all",)))
    for seed in (0, 2):
        path = Path(f"models/finetuned/all-{seed}/history.csv")
        history = pd.read_csv(path)
        history.loc[history["phase"] == "finetune", "val_score"] = 0.1
        history.to_csv(path, index=False)
    report.main()
    said = "finetuned: fine-tuning did not make it better on validation in 2 of 3 runs"
    assert said in page().text
    assert "frozen: fine-tuning" not in page().text


def test_names_from_users_data_are_only_text(study: Maker) -> None:
    study(Made(classes=(HOSTILE, "</style>", "{{ 7 * 7 }}", "a<b>&")))
    report.main()
    parsed = page()
    assert parsed.tags.count("script") == 1
    assert HOSTILE in parsed.text
    assert "{{ 7 * 7 }}" in parsed.text
    assert "a<b>&" in parsed.text
    assert "b" not in parsed.tags
    assert "</style>" in parsed.text
    for path in Path("reports/figures").glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(Made(scratch=("only",), transfer=(), seeds=(0,)), id="one model"),
        pytest.param(Made(transfer=()), id="scratch only"),
        pytest.param(Made(scratch=(), labels=(5,)), id="transfer only, few labels only"),
        pytest.param(Made(epochs=0), id="no epochs"),
        pytest.param(replace(REGRESSION, counts=(40, 9, 1)), id="regression, one test image"),
        pytest.param(Made(counts=(40, 9, 1)), id="one test image"),
        pytest.param(replace(REGRESSION, span=(7, 7)), id="the same number everywhere"),
        pytest.param(replace(REGRESSION, span=(1.6e9, 1.6e9 + 300)), id="large numbers"),
        pytest.param(Made(classes=tuple("犬猫" * 9 + str(i) for i in range(70))), id="70 classes"),
        pytest.param(Made(classes=(), labels=("all",), epochs=0), id="regression, no epochs"),
        pytest.param(Made(epochs=1, classes=("no", "yes"), labels=("all",)), id="one epoch"),
        pytest.param(Made(skill=dict.fromkeys(("simple_cnn", "frozen"), 1.0)), id="no mistakes"),
        pytest.param(
            Made(classes=tuple(f"class {i}" for i in range(100)), counts=(300, 200, 400)),
            id="100 classes",
        ),
        pytest.param(
            Made(
                scratch=tuple(f"network_with_a_very_long_name_number_{i}" for i in range(15)),
                transfer=tuple(f"transfer_{i}" for i in range(15)),
                seeds=(0,),
                labels=("all",),
                side=80,
                channels=3,
            ),
            id="30 models",
        ),
    ],
)
def test_odd_studies_have_a_whole_page(study: Maker, made: Made) -> None:
    found = study(made)
    report.main()
    text = page().text
    assert all(name in text for name in found.kinds)
    assert not re.search(r"\b(nan|inf|None)\b", text)
    assert "All numbers and figures come from saved predictions" in text
