"""Further test sets: packed like the first, and how far a model falls on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from stages import extra as extra_stage
from stages import report
from tests.images import (
    class_files,
    data,
    encoded,
    pixels,
    split_files,
    write_folder,
    write_zip,
)
from tests.results import Made, make
from vision.errors import UserError
from vision.evaluation import results
from vision.evaluation.extra import drop, of_means, of_shares
from vision.packing import pack, pack_test
from vision.params import Data, check
from vision.prepared import Prepared
from vision.sources import SOURCES, extra


@pytest.fixture
def first(tmp_path: Path) -> Prepared:
    """The study's own cats and dogs, 6 by 6 pixels."""
    raw, root = tmp_path / "raw", tmp_path / "prepared"
    for folder in (raw, root):
        folder.mkdir()
    own = data(path=write_folder(tmp_path / "own", class_files()))
    SOURCES["folder"].fetch(own, raw)
    pack(SOURCES["folder"].records(own, raw), own, root)
    return Prepared(root)


def packed(first: Prepared, path: Path, **values: Any) -> Prepared:
    settings: Data = data(extra_tests={"phone": str(path)}, **values)
    root = first.root.parent / "phone"
    root.mkdir(exist_ok=True)
    pack_test(extra.records(settings, "phone"), settings, first, root)
    return Prepared(root)


def test_a_set_is_packed_like_the_first(first: Prepared, tmp_path: Path) -> None:
    files = class_files(("dog",), each=3, seed=77)
    files["dog/known.png"] = class_files()["cat/2.png"]
    found = packed(first, write_zip(tmp_path / "phone.zip", files))
    assert found.images("test").shape == (4, 6, 6, 3)
    assert found.targets("test").tolist() == [1, 1, 1, 1]
    manifest = found.manifest
    assert manifest.classes == ["cat", "dog"]
    assert manifest.counts == {"train": 0, "val": 0, "test": 4}
    assert manifest.class_counts["test"] == [0, 4]
    assert (manifest.mean, manifest.std) == (first.manifest.mean, first.manifest.std)
    assert [names[1:] for names in manifest.duplicates_across] == [["test/dog/known.png"]]


def test_of_a_set_with_splits_the_test_split_is_taken(first: Prepared, tmp_path: Path) -> None:
    found = packed(first, write_folder(tmp_path / "new", split_files()))
    assert found.manifest.counts["test"] == 8
    only = {name: content for name, content in split_files().items() if name[:5] == "train"}
    with pytest.raises(UserError, match="none that is named test"):
        packed(first, write_folder(tmp_path / "train only", only))


def test_other_sizes_are_brought_to_the_first_one_if_params_say_so(
    first: Prepared, tmp_path: Path
) -> None:
    large = {"cat/a.png": encoded(pixels(5, 9, 9, 3))}
    with pytest.raises(UserError, match="9x9 pixels and those of the study 6x6: set data"):
        packed(first, write_folder(tmp_path / "large", large))
    found = packed(first, tmp_path / "large", image_size=6)
    assert found.images("test").shape == (1, 6, 6, 3)


def test_faults_are_named(first: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"cow/0.png is of class cow, .*study \(cat, dog\)"):
        packed(first, write_folder(tmp_path / "cows", class_files(("cow", "cat"), each=2)))
    assert not list((tmp_path / "phone").glob("*.tmp"))
    with pytest.raises(UserError, match=r"data\.extra_tests\.phone: .* does not exist"):
        packed(first, tmp_path / "nosuch")
    make(tmp_path, Made())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["extra", "tablet"])
    with pytest.raises(UserError, match="names no tablet"):
        extra_stage.main()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> results.Study:
    """Made-up results whose further set holds 40 images: of three, every run gets one wrong."""
    monkeypatch.chdir(tmp_path)
    return with_extra(tmp_path, Made(labels=("all",)))


def with_extra(root: Path, made: Made) -> results.Study:
    make(root, made)
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["data"]["extra_tests"] = {"phone": "phone"}
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    params = check(content)
    folder = root / "data" / "extra" / "phone"
    folder.mkdir(parents=True)
    own = Prepared(root / "data" / "prepared")
    targets = own.targets("test")[:40]
    np.save(folder / "test_targets.npy", targets)
    counts = {"train": 0, "val": 0, "test": 40}
    manifest = own.manifest.model_copy(update={"counts": counts, "duplicates_across": []})
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    for run in params.runs:
        outputs: Any = targets[:, None] + 9 + np.arange(40)[:, None] % 2
        if made.classes:
            answers = np.where(np.arange(40) % 3 > 0, targets, (targets + 1) % 3)
            outputs = np.eye(3)[answers]
        np.save(run.under(root / "reports/evaluation") / "extra-phone.npy", outputs)
    return results.load(params)


def test_the_drop_is_the_difference_with_its_interval(study: results.Study) -> None:
    found = drop(study, "phone", study.winner)
    assert found.first == pytest.approx(study.row(study.winner, "all")["test_accuracy"])
    assert found.second == pytest.approx(26 / 40)
    gap = found.difference
    assert gap.value == pytest.approx(found.first - found.second)
    assert gap.low < gap.value < gap.high
    assert gap.clear


def test_the_interval_of_a_drop_holds_at_its_level(study: results.Study) -> None:
    """Both sets of the same kind: about one interval in twenty leaves zero out."""
    targets = {90: study.prepared.targets("test"), 40: study.extra("phone").targets("test")}
    clear = 0
    for trial in range(100):
        generator = np.random.default_rng(trial)
        for seed in study.of("frozen", "all"):
            folder = seed.run.under(study.evaluation)
            for name, size in (("test", 90), ("extra-phone", 40)):
                right = generator.random(size) < 0.8
                answers = np.where(right, targets[size], (targets[size] + 1) % 3)
                np.save(folder / f"{name}.npy", np.eye(3, dtype=np.float32)[answers])
        clear += drop(study, "phone", "frozen").difference.clear
    assert clear <= 12


@pytest.mark.parametrize(("rate", "own", "further"), [(0.99, 1000, 50), (0.9, 1000, 10)])
def test_few_images_that_are_all_right_are_no_better(rate: float, own: int, further: int) -> None:
    """Welch's test called equal sets different in 63 and 35 of 100 trials."""
    generator = np.random.default_rng(0)

    def answers(size: int) -> NDArray[np.float64]:
        return (generator.random(size) < rate).astype(float)

    called = [of_shares(answers(own), answers(further)).clear for _ in range(200)]
    assert np.mean(called) <= 0.07


def test_a_single_image_tells_nothing() -> None:
    first = np.r_[np.ones(900), np.zeros(100)]
    for answer in (0.0, 1.0):
        assert not of_shares(first, np.array([answer])).clear
    assert not of_means(-first, np.array([-40.0])).clear


def test_the_page_tells_of_the_drop(study: results.Study) -> None:
    report.main()
    text = Path("reports/index.html").read_text(encoding="utf-8")
    assert "On other test sets" in text
    assert f"On phone, 40 images, {study.winner}&#39;s accuracy is 65.0" in text
    assert "worse than on the test split" in text


def test_numbers_to_predict_fall_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = with_extra(tmp_path, Made(classes=(), labels=("all",)))
    found = drop(study, "phone", study.winner)
    assert found.second == pytest.approx(9.5, abs=1e-5)
    assert found.difference.value == pytest.approx(9.5 - found.first)
    report.main()
    assert "worse than on the test split" in Path("reports/index.html").read_text(encoding="utf-8")
