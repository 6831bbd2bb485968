"""What the page says of where it comes from."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import provenance
from tests.results import Made, make
from vision.params import Params, check
from vision.reporting.provenance import Provenance

VERSIONS = {"Python": "3.11.7"}


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ("git", *identity, *arguments), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A study in a git repository that has it ready-made, too, and code beside it."""
    monkeypatch.chdir(tmp_path)
    made = make(tmp_path, Made(seeds=(0,), labels=("all",)))
    for folder in ("studies", "vision"):
        Path(folder).mkdir()
    shutil.copy("params.yaml", "studies/made_up.yaml")
    Path("vision/code.py").write_text("pass\n")
    git("init", "--quiet")
    git("add", "params.yaml", "studies", "vision")
    git("commit", "--quiet", "-m", "all")
    return made


def edited(key: str, value: Any) -> Params:
    content = yaml.safe_load(Path("params.yaml").read_text()) | {key: value}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return check(content)


def test_a_clean_clone_needs_its_revision_only(study: Params) -> None:
    found = provenance.gather(study)
    assert found.revision == git("rev-parse", "HEAD")
    assert (found.changed, found.params) == (False, "committed")
    assert found.steps == f"git checkout {found.revision[:12]} && dvc repro"
    assert found.versions["Python"].startswith("3.")


def test_a_ready_made_study_is_recognised_by_what_it_says(study: Params) -> None:
    other = edited("seeds", [0, 1])
    assert provenance.gather(other).params == "edited"
    Path("studies/other.yaml").write_text("# a remark\n" + Path("params.yaml").read_text())
    assert provenance.gather(other).params == "edited", "git does not have it"
    git("add", "studies")
    git("commit", "--quiet", "-m", "other")
    found = provenance.gather(other)
    assert (found.params, found.study_file) == ("study", "studies/other.yaml")
    assert "&& cp studies/other.yaml params.yaml && dvc repro" in found.steps


def test_changed_code_is_told_of_and_changed_reports_are_not(study: Params) -> None:
    Path("reports/metrics.json").write_text("{}")
    assert not provenance.gather(study).changed
    Path("vision/new.py").write_text("pass\n")
    assert provenance.gather(study).changed


def test_outside_a_repository_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = provenance.gather(make(tmp_path, Made()))
    assert (found.revision, found.digest) == (None, None)
    assert Provenance(VERSIONS).steps == "dvc repro"


def test_the_digest_follows_the_results_and_not_the_times(study: Params) -> None:
    def lock(**changes: str) -> dict[str, Any]:
        paths = ["data/prepared", "reports/evaluation", "models/dropped/all-0"]
        paths += [f"{root}/{run.model}/all-0" for run in study.runs for root in
                  ("models", "reports/training")]  # fmt: skip
        outs = [{"path": path, "md5": changes.get(path, "0")} for path in paths]
        return {"stages": {"a": {"outs": outs[:1]}, "b": {"outs": outs[1:]}, "c": {}}}

    before = provenance.results_digest(study, lock())
    assert before
    for path in ("reports/training/frozen/all-0", "models/dropped/all-0"):
        assert provenance.results_digest(study, lock(**{path: "1"})) == before
    for path in ("data/prepared", "models/frozen/all-0", "reports/evaluation"):
        assert provenance.results_digest(study, lock(**{path: "1"})) != before
    assert provenance.results_digest(study, {"stages": {"a": {}}}) is None
