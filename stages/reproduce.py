"""Run the committed study again in a clone, and compare the bytes: python -m stages.reproduce.

The clone has no cache, so nothing comes from the first time; dvc.lock says what each run made.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from stages import entry
from vision.errors import UserError

VARY = (
    "reports/training",
    "reports/comparison.csv",
    "reports/costs.json",
    "reports/figures",
    "reports/index.html",
    "reports/summary.md",
)
"""Where measured times are: every other output is compared."""


def main() -> str:
    root = Path.cwd()
    _refuse_changes(root)
    # beside this folder, so that a data.path such as ../shared/data leads to the same images
    parent = root.parent if os.access(root.parent, os.W_OK) else None
    with TemporaryDirectory(prefix=f"{root.name}-reproduce-", dir=parent) as folder:
        clone = Path(folder)
        _printed(root, "git", "clone", "--quiet", str(root), str(clone))
        # the user's own settings may name a cache that all clones share
        (clone / ".dvc/config.local").write_text("[cache]\n    dir = cache\n")
        committed = _committed(clone)
        # without it DVC runs every stage, and the file then tells of this run alone
        (clone / "dvc.lock").unlink()
        if subprocess.run(["dvc", "repro"], cwd=clone, check=False).returncode:
            raise UserError("the committed study does not run here: see above")
        made = _lock(clone)
    return compare(committed, made)


def compare(committed: dict[str, Any], made: dict[str, Any]) -> str:
    """What to say of two dvc.lock, the committed one and that of the run that was just made.

    Raises:
        UserError: some outputs differ; each is named, with both md5.
    """
    expected, found = _outputs(committed), _outputs(made)
    differing = [
        f"  {path}: {expected.get(path, 'absent')}, now {md5}"
        for path, md5 in found.items()
        if expected.get(path) != md5
    ]
    if differing:
        listed = "\n".join(differing)
        raise UserError(
            f"{len(differing)} of {len(found)} outputs differ from the committed ones (md5):\n"
            f"{listed}\nThe same bytes are promised on the same kind of machine: processor, number "
            "of threads, software"
        )
    return f"{len(found)} outputs of {len(made['stages'])} stages: the same bytes"


def _outputs(lock: dict[str, Any]) -> dict[str, str]:
    """The md5 by path of what does not vary from run to run."""
    outs = [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
    return {out["path"]: out["md5"] for out in outs if not out["path"].startswith(VARY)}


def _refuse_changes(root: Path) -> None:
    if not (root / ".git").exists():
        raise UserError(f"{root} is not a git clone: there is no committed study to compare with")
    changes = _printed(root, "git", "status", "--porcelain", "--untracked-files=no")
    if changes:
        raise UserError(
            "the last commit is what is run again, and these files differ from it; commit them, "
            f"or put them aside with git stash:\n{changes.rstrip()}"
        )


def _committed(clone: Path) -> dict[str, Any]:
    """The commit's dvc.lock, once it is sure that the commit's code and params made it."""
    if not (clone / "dvc.lock").exists():
        raise UserError("the last commit has no dvc.lock: dvc repro, and commit what it made")
    status = json.loads(_printed(clone, "dvc", "status", "--json"))
    changed = set(_changed(status, ("modified", "new")))
    images = _outside_git(clone, changed | set(_changed(status, ("deleted",))))
    if images:
        raise UserError(
            f"{', '.join(images)}: not in git, so that a clone has other files or none: keep them "
            "beside this folder, where clones find them too (in params.yaml, ../"
            f"{Path(images[0]).name}), then dvc repro, and commit what it makes"
        )
    if changed:
        raise UserError(
            "dvc.lock was not made by the code, params and data of the last commit, which has "
            f"others for {', '.join(sorted(changed))}: dvc repro, and commit what it makes"
        )
    return _lock(clone)


def _outside_git(clone: Path, names: set[str]) -> list[str]:
    """Those of the names that are a stage's input, no stage's output, and not in git; what lies
    outside of the clone aside. A hidden file may stand for an empty folder."""
    stages = _lock(clone)["stages"].values()
    inputs = {dep["path"] for stage in stages for dep in stage.get("deps", [])}
    outputs = {out["path"] for stage in stages for out in stage.get("outs", [])}
    return [
        name
        for name in sorted(names & (inputs - outputs))
        if not name.startswith("..")
        and all(
            Path(file).name.startswith(".")
            for file in _printed(clone, "git", "ls-files", "--", name).splitlines()
        )
    ]


def _changed(status: Any, ways: tuple[str, ...], name: str = "") -> Iterator[str]:
    """Names of what `dvc status` finds changed in these ways. In a fresh clone all outputs are
    deleted."""
    if isinstance(status, dict):
        for key, inner in status.items():
            yield from _changed(inner, ways, key)
    elif isinstance(status, list):
        for inner in status:
            yield from _changed(inner, ways)
    elif status == "changed command":
        yield "dvc.yaml"
    elif status in ways:
        yield name


def _lock(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))


def _printed(folder: Path, *command: str) -> str:
    """What a command prints; its errors go where ours go."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command[:2])} failed: see above")
    return done.stdout


if __name__ == "__main__":
    entry.run(main)
