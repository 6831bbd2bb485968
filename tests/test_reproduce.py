"""Running a committed study again: what counts as the same, and when it is not even tried."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import reproduce
from vision.errors import UserError

PIPELINE = """
stages:
  train:
    cmd: cat ../machine > model
    deps: [code]
    params: [rate]
    outs: [model]
  report:
    cmd: mkdir -p reports && mktemp -u > reports/costs.json
    deps: [model]
    metrics: [reports/costs.json: {cache: false}]
"""
PROGRAMS = Path(sys.executable).parent


def run(folder: Path, *command: str | Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    name = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    run(folder, "git", *name, "commit", "--quiet", "--message", "test")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that has run, whose model depends on the machine, and its costs on the moment."""
    folder = tmp_path_factory.mktemp("committed") / "study"
    (folder / ".dvc").mkdir(parents=True)
    # what a run once made is then to be had beside the study
    (folder / ".dvc/config").write_text("[cache]\n    dir = ../../cache\n")
    (folder / ".dvc/.gitignore").write_text("/tmp\n")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("rate: 1\n")
    (folder / "code").write_text("train\n")
    (folder.parent / "machine").write_text("this one\n")
    run(folder, "git", "init", "--quiet")
    run(folder, PROGRAMS / "dvc", "repro")
    commit(folder)
    return folder


@pytest.fixture
def study(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where this process then is."""
    folder = tmp_path / "beside" / "study"
    shutil.copytree(committed.parent, folder.parent)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")
    return folder


def lock(**outs: str) -> dict[str, Any]:
    """A dvc.lock in which one stage made these files (name=md5)."""
    listed = [{"path": path.replace("_", "/"), "md5": md5} for path, md5 in outs.items()]
    return {"stages": {"train": {"cmd": "train", "outs": listed}}}


def test_outputs_are_compared_by_path() -> None:
    before = lock(models_a="1", models_b="2", dropped="3")
    same = lock(models_b="2", models_a="1")
    assert reproduce.compare(before, same) == "2 outputs of 1 stages: the same bytes"
    with pytest.raises(UserError) as refused:
        reproduce.compare(before, lock(models_a="1", models_b="5", models_c="6"))
    message = str(refused.value)
    assert "2 of 3 outputs differ" in message
    assert "models/b: 2, now 5" in message
    assert "models/c: absent, now 6" in message
    assert "models/a" not in message
    assert "same kind of machine" in message


@pytest.mark.parametrize("path", ["data_raw", "models_a", "reports_evaluation", "reports_plots"])
def test_what_holds_no_times_must_be_the_same(path: str) -> None:
    with pytest.raises(UserError, match="1 of 1 outputs differ"):
        reproduce.compare(lock(**{path: "1"}), lock(**{path: "2"}))


@pytest.mark.parametrize("path", ["reports_training_a", "reports_figures", "reports_index.html"])
def test_what_holds_times_may_differ(path: str) -> None:
    before, now = lock(models_a="1", **{path: "2"}), lock(models_a="1", **{path: "3"})
    assert reproduce.compare(before, now) == "1 outputs of 1 stages: the same bytes"


def test_a_study_is_run_again_from_nothing(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main() == "1 outputs of 2 stages: the same bytes"
    shown = capfd.readouterr().out
    assert all(f"Running stage '{stage}'" in shown for stage in ("train", "report"))
    (study.parent / "machine").write_text("another one\n")
    with pytest.raises(UserError, match=r"1 of 1 outputs differ.*\n  model: "):
        reproduce.main()
    assert {path.name for path in study.parent.iterdir()} == {"study", "machine", "cache"}


def test_params_that_are_not_those_of_the_lock_are_refused(study: Path) -> None:
    (study / "params.yaml").write_text("rate: 2\n")
    with pytest.raises(UserError, match=r"the last commit is what is run(.|\n)* params\.yaml"):
        reproduce.main()
    commit(study)
    with pytest.raises(UserError, match="last commit, which has others for rate"):
        reproduce.main()


def test_images_that_are_not_in_git_are_named_with_the_way_out(study: Path) -> None:
    """The clone has none, and running the study again would not help."""
    (study / "dvc.yaml").write_text(PIPELINE.replace("[code]", "[code, images]"))
    (study / "params.yaml").write_text("rate: 1\ndata: {path: images}\n")
    (study / "images").mkdir()
    (study / "images" / "cat.png").write_text("a cat\n")
    (study / ".gitignore").write_text("/images\n/model\n")
    run(study, PROGRAMS / "dvc", "repro")
    commit(study)
    with pytest.raises(UserError, match=r"^images: not in git.*\.\./images"):
        reproduce.main()


def test_a_commit_without_a_lock_or_no_commit_is_refused(study: Path) -> None:
    (study / "dvc.lock").unlink()
    commit(study)
    with pytest.raises(UserError, match=r"no dvc\.lock: dvc repro"):
        reproduce.main()
    shutil.rmtree(study / ".git")
    with pytest.raises(UserError, match="not a git clone"):
        reproduce.main()
