"""What git, DVC and Python know of where the results come from."""

import hashlib
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from vision import params
from vision.errors import UserError
from vision.params import Params
from vision.reporting.provenance import Provenance

CODE = ("backbones", "dvc.yaml", "requirements.txt", "stages", "vision")
LIBRARIES = ("dvc", "numpy", "scikit-learn", "scipy", "timm", "torch", "torchvision")


def gather(study: Params) -> Provenance:
    """Look around in the working directory, which need be neither git's nor DVC's."""
    versions = {"Python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    digest = results_digest(study, _lock())
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return Provenance(versions, digest=digest)
    file = _study_file(study)
    committed = not _git("status", "--porcelain", "params.yaml")
    return Provenance(
        versions,
        revision,
        changed=bool(_git("status", "--porcelain", *CODE)),
        params="committed" if committed else "study" if file else "edited",
        study_file=file,
        digest=digest,
    )


def results_digest(study: Params, lock: dict[str, Any]) -> str | None:
    """sha256 over the md5, as dvc.lock has them, of the prepared data, of every model of the study
    and of the predictions; None where one is missing."""
    stages = lock.get("stages", {}).values()
    found = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
    models = [run.under(Path("models")).as_posix() for run in study.runs]
    paths = ["data/prepared", *models, "reports/evaluation"]
    if not all(path in found for path in paths):
        return None
    return hashlib.sha256("".join(f"{path} {found[path]}\n" for path in paths).encode()).hexdigest()


def _study_file(study: Params) -> str:
    """The ready-made study that says the same as params.yaml, if git has it as it is."""
    for path in sorted(Path("studies").glob("*.yaml")):
        with suppress(UserError):
            if params.load(path) == study and not _git("status", "--porcelain", str(path)):
                return path.as_posix()
    return ""


def _lock() -> dict[str, Any]:
    """dvc.lock, which DVC has brought up to date before it runs the last stage."""
    with suppress(FileNotFoundError):
        text = Path("dvc.lock").read_text(encoding="utf-8")
        # libyaml, where it is there, reads hundreds of runs in no time
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    return {}


def _git(*arguments: str) -> str | None:
    """What a git command prints, without the last line break; None where it fails."""
    with suppress(OSError):
        done = subprocess.run(("git", *arguments), capture_output=True, text=True, check=False)
        return done.stdout.rstrip("\n") if done.returncode == 0 else None
    return None
