"""Every study of studies/: its networks can be built, and it runs to its page."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stages import evaluate, fetch, preprocess, report, studies, train_scratch, train_transfer
from tests.images import encoded, pixels, write_folder
from tests.study import ROOT, write_study
from vision import params
from vision.errors import UserError
from vision.packing import pack
from vision.params import Data
from vision.prepared import SPLITS
from vision.sources.record import Record

STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
SPARE = {"epochs": 1, "min_steps": 0, "batch_size": 8}
"""What a recipe costs a few steps with."""


def test_every_network_of_every_study_can_be_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert f"{len(STUDIES)} studies fit" in studies.main()
    assert "cnn_variants.yaml: runs 36, networks 12" in capsys.readouterr().out


def few_steps(study: dict[str, Any]) -> dict[str, Any]:
    """The study with one seed, one epoch of few images, and random weights for those that are not
    in this repository."""
    models = {}
    for name, model in study["models"].items():
        spared = {**model, **SPARE} if "net" in model else dict(model)
        if not model.get("backbone", "backbones/").startswith("backbones/"):
            spared["weights"] = None
        for phase in ("head", "finetune"):
            if phase in model:
                spared[phase] = {**model[phase], **SPARE}
        models[name] = spared
    labels = ["all", 2] if len(study["labels_per_class"]) > 1 else ["all"]
    return {**study, "models": models, "seeds": [0], "labels_per_class": labels}


def generate(data: dict[str, Any], folder: Path) -> None:
    """Images of the kind that a study wants: files for the sources that take files, else packed."""
    if data["source"] in FILES:
        write_folder(folder / "images", dict(FILES[data["source"]]()))
        fetch.main()
        preprocess.main()
        return
    channels, side = studies.SIZES[data["source"]]
    shape = (side, side, 3) if channels == 3 else (side, side)
    records = (
        Record(f"{split}/{i}", split, f"class {i % 10}", pixels(i, *shape))
        for split in SPLITS
        for i in range(30)
    )
    root = folder / "data" / "prepared"
    root.mkdir(parents=True)
    pack(records, Data.model_validate(data), root)


def class_folders() -> Iterator[tuple[str, bytes]]:
    for split, each in (("train", 4), ("test", 2)):
        for k in range(10):
            for i in range(each):
                yield f"{split}/{k}/{i}.png", encoded(pixels(100 * k + i + each, 32, 32, 3))


def faces(count: int = 60) -> Iterator[tuple[str, bytes]]:
    """Noise, brighter with age, under names as UTKFace has them, the odd ones among them."""
    random = np.random.default_rng(0)
    odd = ("{}_1_2_2017 .jpg.chip.jpg", "{}_0_1_2017jpg.chip.jpg", "{}_1_2017.jpg.chip.jpg")
    for i, age in enumerate(random.integers(1, 100, count)):
        image = np.clip(random.normal(40 + 1.6 * age, 30, (200, 200, 3)), 0, 255).astype(np.uint8)
        name = odd[i] if i < len(odd) else "{}_0_3_" + f"{i:017d}.jpg.chip.jpg"
        yield name.format(age), encoded(image, "JPEG")


FILES = {"folder": class_folders, "utkface": faces}


def test_a_study_that_does_not_fit_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    Path("studies/mine.yaml").write_text("epochs: 3\n")
    with pytest.raises(UserError) as caught:
        studies.main()
    assert str(caught.value).splitlines()[0].count("mine.yaml") == 1


@pytest.mark.slow
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_runs_to_its_page(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = few_steps(yaml.safe_load(file.read_text()))
    if study["data"]["source"] in FILES:
        study["data"]["path"] = "images"
    write_study(tmp_path, study)
    generate(study["data"], tmp_path)
    for run in params.load().runs:
        stage = train_scratch if run.model in study["scratch"] else train_transfer
        monkeypatch.setattr(sys, "argv", ["stage", run.model, str(run.labels), str(run.seed)])
        stage.main()
    evaluate.main()
    report.main()
    page = (tmp_path / "reports" / "index.html").read_text()
    assert all(name in page for name in study["models"])
