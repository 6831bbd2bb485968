"""dvc.yaml says of each stage what its code really imports and reads."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import evaluate, extra, fetch, preprocess, report, train_scratch, train_transfer
from tests.study import ROOT, STUDY, write_study
from vision import params
from vision.params import Params

WRITTEN: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES: dict[str, Any] = {name: stage.get("do", stage) for name, stage in WRITTEN.items()}
MODULES = {
    "fetch": fetch,
    "preprocess": preprocess,
    "extra": extra,
    "train_scratch": train_scratch,
    "train_transfer": train_transfer,
    "evaluate": evaluate,
    "report": report,
}


def imported_modules(file: Path) -> Iterator[str]:
    """Full names of what a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def project_file(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((f for f in files if f.is_file() and f.read_text().strip()), None)


def imported_files(file: Path) -> set[Path]:
    """The project's own files that a file needs, itself included."""
    found, waiting = {file}, [file]
    while waiting:
        for module in imported_modules(waiting.pop()):
            needed = project_file(module)
            if needed and needed not in found:
                found.add(needed)
                waiting.append(needed)
    return found


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_code_that_is_imported(name: str) -> None:
    module = STAGES[name]["cmd"].split()[2]
    needed = project_file(module)
    assert needed
    imported = imported_files(needed)
    code = [ROOT / dep for dep in STAGES[name]["deps"] if dep.startswith(("stages", "vision"))]
    covers = {dep: {f for f in imported if f == dep or dep in f.parents} for dep in code}
    assert imported == set().union(*covers.values()), "an import is missing from deps"
    assert all(covers.values()), "deps name code that is not imported"


class Recorder(Params):
    """Params that remember which of their keys were read."""

    def __getattribute__(self, name: str) -> Any:
        if name in Params.model_fields:
            READ.add(name)
        return super().__getattribute__(name)


READ: set[str] = set()


def test_params_are_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, STUDY)
    monkeypatch.chdir(tmp_path)

    def load() -> Params:
        study = Recorder.model_validate(STUDY)
        READ.clear()
        return study

    monkeypatch.setattr(params, "load", load)
    arguments = {
        "extra": [["phone"]],
        "train_scratch": [["simple_cnn", "all", "0"], ["resnet20", "all", "0"]],
        "train_transfer": [["finetuned", "all", "0"]],
    }
    for name, module in MODULES.items():
        for line in arguments.get(name, [[]]):
            monkeypatch.setattr(sys, "argv", [name, *line])
            module.main()
            if name == "report":  # the page shows the whole file, read or not
                assert STAGES[name]["params"] == [{"params.yaml": None}]
            else:
                declared = {key.split(".")[0] for key in STAGES[name]["params"]}
                assert declared == READ, name
