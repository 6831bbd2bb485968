"""The benches in small: their parts on generated images, and the table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from benchmarks import engine, frozen, speed, usual
from benchmarks.__main__ import main
from benchmarks.inputs import Inputs, changed, scratch
from benchmarks.processes import in_turn
from benchmarks.table import Bar, Row, table
from tests.images import encoded, pixels, write_tar
from tests.study import ROOT
from vision.params import Adam, HeadRecipe, Recipe, Scratch, Transfer
from vision.task import Task

IMPORTS = """
import sys
import benchmarks.__main__, vision.train
print(sorted({"dvc", "dvclive", "pandas"} & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("bench")
    files = {
        f"{split}/{name}/{i}.jpg": encoded(
            pixels(1000 * len(split) + 100 * label + i, 12, 12, 3), "JPEG"
        )
        for split, count in (("train", 40), ("test", 2))
        for label, name in enumerate(("cat", "dog"))
        for i in range(count)
    }
    return Inputs(write_tar(folder / "images.tar", files), folder / "none", folder / "cache")


@pytest.fixture
def model() -> Scratch:
    return changed(scratch("resnet20"), epochs=1, batch_size=8)


def test_files_are_the_images_of_the_part(inputs: Inputs) -> None:
    part = inputs.part(24, 4)
    assert part.images("val").shape == (4, 12, 12, 3)
    assert len(np.unique(part.targets("train"), return_counts=True)[1]) == 2
    files = sorted(inputs.files(24).rglob("*.jpg"))
    read = {np.asarray(Image.open(file)).tobytes() for file in files}
    assert len(files) == 24
    assert read == {image.tobytes() for image in part.images("train")}


def test_the_engine_and_the_usual_loop_train(inputs: Inputs, model: Scratch) -> None:
    part = inputs.part(24, 4)
    trained, watch = engine.run(model, part)
    assert watch.images == 24
    assert 0 < watch.seconds < trained.seconds
    assert usual.images_per_second(inputs.files(24), part.manifest, model, seed=0) > 0


def test_a_bare_step_is_as_often_as_asked(
    inputs: Inputs, model: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr("torch.optim.SGD.step", lambda _: taken.append(1))
    in_parts = changed(model, accumulate=2)
    assert engine.bare_step(in_parts, inputs.part(24, 4), steps=3, update=True, seed=0) > 0
    assert len(taken) == 1 + 3
    assert engine.bare_step(in_parts, inputs.part(24, 4), steps=3, update=False, seed=0) > 0
    assert len(taken) == 1 + 3


def test_the_bare_steps_see_all_classes(
    inputs: Inputs, model: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One class alone was learned at once, and its gradients vanished through 1e-38: two of the
    steps took 28 seconds each on an Intel Xeon, the others half a second."""
    seen: set[int] = set()
    loss = Task.training_loss

    def recorded(task: Task, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        seen.update(targets.tolist())
        return loss(task, outputs, targets, recipe)

    monkeypatch.setattr(Task, "training_loss", recorded)
    engine.bare_step(model, inputs.part(24, 4), steps=1, update=True, seed=0)
    assert seen == {0, 1}


def test_a_timed_run_accounts_for_its_seconds(inputs: Inputs, model: Scratch) -> None:
    (run,) = speed.timed_runs(model, inputs.whole(), runs=1)
    assert 0 < run.data < run.data + run.steps + run.evaluation < run.seconds * 1.5
    assert 0 <= run.accuracy <= 1


def test_without_the_shortcut_the_predictions_are_the_same(
    inputs: Inputs, capsys: pytest.CaptureFixture[str]
) -> None:
    head = HeadRecipe(epochs=3, batch_size=8, optimizer=Adam(name="adam", lr=0.01))
    model = Transfer(backbone=str(ROOT / "backbones/resnet20_cifar10_jpeg"), head=head)
    part, whole = inputs.part(24, 4), inputs.whole()
    once = frozen.outcome(model, part, whole, shortcut=True, seed=0)
    assert "frozen layers" in capsys.readouterr().err
    ever = frozen.outcome(model, part, whole, shortcut=False, seed=0)
    assert "frozen layers" not in capsys.readouterr().err
    assert once.outputs.shape == (whole.manifest.counts["val"], 2)
    np.testing.assert_allclose(once.outputs, ever.outputs, rtol=1e-3, atol=1e-4)


def test_each_side_has_one_process_of_its_own() -> None:
    # umask sets a process's mask and returns the one that it had
    pairs = in_turn(os.umask, os.umask, pairs=2, warm_up=True)
    assert pairs == [(0, 0), (1, 1)]


def test_the_table_says_what_is_met() -> None:
    rows = [
        Row("fast", "slow", [3.0, 1.0, 2.9], bar=Bar("≥", 2.8), note="On little."),
        Row("slow", "fast", [2.0, 3.0, 1.0], bar=Bar("≥", 2.8)),
        Row("small", values=[1.0], unit="GB", bar=Bar("≤", 1.8)),
        Row("wrong", values=[9.0], bar=Bar("≥", 8.0), holds=False),
        Row("absent", note="No data."),
        Row("broken", note="ValueError: no.", holds=False),
    ]
    lines = table(rows).splitlines()
    assert lines[2].split("|")[4:9] == [
        " 2.90 x  ",
        " 1.00..3.00 ",
        " 3 ",
        " ≥ 2.8 x  ",
        " met      ",
    ]
    verdicts = ["met", "missed", "met", "missed", "left out", "failed"]
    assert [row.verdict for row in rows] == verdicts
    assert len({len(line) for line in lines[:8]}) == 1
    assert lines[9] == "1. On little."


def test_what_is_not_here_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    arguments = ["loop", "--archive", "nowhere.tar", "--json", str(kept)]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    main()
    assert "nowhere.tar is not there" in capsys.readouterr().out
    (row,) = json.loads(kept.read_text())["rows"]
    assert row["verdict"] == "left out"


def test_the_engine_and_the_benches_know_nothing_of_dvc() -> None:
    found = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert found.stdout.strip() == "[]"
