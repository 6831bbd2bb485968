"""What `make repro` checks before DVC reads params.yaml."""

from copy import deepcopy
from pathlib import Path

import pytest

from stages import check
from tests.study import STUDY, write_study
from vision.errors import UserError


def test_a_good_study_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, STUDY)
    monkeypatch.chdir(tmp_path)
    assert check.main() == "params.yaml: tiny, 3 training runs"


def test_interrupted_runs_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, STUDY)
    monkeypatch.chdir(tmp_path)
    Path(".checkpoints").mkdir()
    for name in ("a.ckpt", "b.ckpt"):
        Path(".checkpoints", name).write_bytes(bytes(600_000))
    assert ".checkpoints: 2 interrupted run(s), 1.2 MB" in check.main()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scracth", [], "'scracth' is not a known key; did you mean 'scratch'"),
        ("seeds", 0, "seeds: .*list, not 0"),
        ("data", {"source": "digits", "path": "nosuch"}, r"data\.path nosuch is missing"),
        (
            "data",
            {"source": "digits", "path": "data/source", "extra_tests": {"phone": "nosuch"}},
            r"data\.extra_tests\.phone: nosuch does not exist",
        ),
    ],
)
def test_what_dvc_would_stumble_over_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object, message: str
) -> None:
    write_study(tmp_path, {**deepcopy(STUDY), key: value})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        check.main()


@pytest.mark.parametrize(
    "path", ["", ".", "data", "data/raw", "data/../data/prepared/own", "data/extra/phone", "link"]
)
@pytest.mark.parametrize("extra", [False, True])
def test_what_the_pipeline_writes_holds_no_images_of_yours(
    path: str, extra: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {"path": "data/source", "extra_tests": {"phone": path}} if extra else {"path": path}
    write_study(tmp_path, {**deepcopy(STUDY), "data": {"source": "digits", **images}})
    monkeypatch.chdir(tmp_path)
    Path("data/raw/images").mkdir(parents=True)
    Path("data/prepared").mkdir()
    Path("link").symlink_to("data")
    key = r"data\.extra_tests\.phone" if extra else r"data\.path"
    with pytest.raises(
        UserError, match=f"{key}: .* data/(raw|prepared|extra), which .* data/source"
    ):
        check.main()
