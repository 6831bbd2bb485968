"""The whole pipeline as people run it: dvc repro, dvc exp run, dvc metrics diff."""

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

from tests.study import ROOT, STUDY, write_study


def run(folder: Path, *command: str, fails: bool = False) -> str:
    """Run a command in the clone; what it printed, both streams."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        # a machine may have no git identity, and DVC keeps experiments as commits
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@localhost" for role in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output
    return output


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's files as a repository of their own, with the tiny study run once."""
    folder = tmp_path_factory.mktemp("clone")
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    write_study(folder, STUDY)
    (folder / "dvc.lock").unlink(missing_ok=True)
    run(folder, "git", "init", "--quiet")
    commit(folder)
    run(folder, "dvc", "repro")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "test")


def restore(folder: Path) -> None:
    """Back to what was committed, in git and in DVC."""
    run(folder, "git", "checkout", "--", ".")
    run(folder, "dvc", "checkout", "--force")


def test_a_second_repro_has_nothing_to_do(clone: Path) -> None:
    assert "up to date" in run(clone, "dvc", "repro")


def test_it_leaves_a_page_and_metrics_that_dvc_can_read(clone: Path) -> None:
    page = (clone / "reports/index.html").read_text()
    assert "simple_cnn" in page
    shown = json.loads(run(clone, "dvc", "metrics", "show", "--json"))
    metrics = shown[""]["data"]["reports/metrics.json"]["data"]
    assert 0 < metrics["simple_cnn"]["all"]["test_accuracy"] <= 1
    assert metrics["winner"] in STUDY["models"]
    plots = run(clone, "dvc", "plots", "show")
    assert "dvc_plots" in plots
    drawn = (clone / "dvc_plots" / "index.html").read_text()
    assert "learning-curves" in drawn
    assert "confusion" in drawn


def test_an_experiment_retrains_only_what_it_changes(clone: Path) -> None:
    output = run(clone, "dvc", "exp", "run", "-S", "models.resnet20.epochs=2")
    assert "Running stage 'train_scratch@resnet20-all-0'" in output
    assert "Running stage 'report'" in output
    for untouched in ("preprocess", "train_scratch@simple_cnn", "train_transfer@finetuned"):
        assert f"Running stage '{untouched}" not in output
    changes = json.loads(run(clone, "dvc", "metrics", "diff", "--json"))
    moved = changes["reports/metrics.json"]
    assert any(key.startswith("resnet20.") for key in moved)
    assert not any(key.startswith(("simple_cnn.", "finetuned.")) for key in moved)
    restore(clone)


def test_trainings_two_at_a_time_make_the_same(clone: Path) -> None:
    before = (clone / "reports/metrics.json").read_text()
    shutil.rmtree(clone / ".dvc/cache/runs")  # else nothing would be run again
    (clone / "dvc.lock").unlink()
    for name in ("data/prepared", "models", "reports"):
        shutil.rmtree(clone / name)
    (clone / ".venv").mkdir()
    for name in ("ready", "wrapped"):  # make finds nothing to set up
        (clone / ".venv" / name).touch()
    output = run(clone, "make", "repro", "JOBS=2")
    assert "Running stage 'report'" in output
    assert "Running stage 'train" not in output, "the last dvc repro finds them trained"
    for model in STUDY["models"]:
        assert f"models/{model}/all-0: " in output
    assert (clone / "reports/metrics.json").read_text() == before
    restore(clone)


def test_a_failing_training_stops_trainings_two_at_a_time(clone: Path) -> None:
    broken = deepcopy(STUDY)
    broken["models"]["resnet20"]["optimizer"]["lr"] = 1e30
    write_study(clone, broken)
    output = run(clone, "make", "repro", "JOBS=2", fails=True)
    assert "error: the loss is" in output
    assert "Running stage 'evaluate'" not in output
    restore(clone)


def test_a_change_of_a_further_test_set_is_seen_and_trains_nothing(clone: Path) -> None:
    assert "phone" in (clone / "reports/index.html").read_text()
    (clone / "phone" / "7" / "0.png").unlink()
    output = run(clone, "dvc", "repro")
    for again in ("extra@phone", "evaluate", "report"):
        assert f"Running stage '{again}'" in output
    assert "Running stage 'preprocess'" not in output
    assert "Running stage 'train" not in output
    assert "On phone, 7 images" in (clone / "reports/index.html").read_text()
    restore(clone)


def test_a_typo_in_an_experiment_is_named(clone: Path) -> None:
    refused = run(clone, "dvc", "exp", "run", "-S", "models.resnet20.epoch=2", fails=True)
    assert "'epoch' is not a known key; did you mean 'epochs'?" in refused
    output = run(clone, "dvc", "exp", "run", "-S", "+models.resnet20.epoch=2", fails=True)
    assert "error: params.yaml: models.resnet20: 'epoch' is not a known key" in output
    assert "did you mean 'epochs'?" in output
    restore(clone)


def test_a_model_that_is_dropped_leaves_the_page(clone: Path) -> None:
    smaller = deepcopy(STUDY)
    smaller["scratch"] = ["simple_cnn"]
    del smaller["models"]["resnet20"]
    write_study(clone, smaller)
    run(clone, "dvc", "repro")
    assert "resnet20" not in json.loads((clone / "reports/metrics.json").read_text())
    assert (clone / "models/resnet20/all-0").exists(), "DVC leaves dropped outputs behind"
    restore(clone)
