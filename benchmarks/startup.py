"""What a stage costs that has nothing to learn."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.inputs import ROOT, Inputs, MissingError, changed, recipes, scratch, untrained
from benchmarks.table import Bar, Row
from vision.params import Model, Params, Scratch, Transfer

PROJECT = "backbones/resnet20_cifar10_jpeg"
STAGES = {
    "resnet20": ("stage train_scratch without epochs: ResNet-20", 2.0),
    "pretrained": ("stage train_transfer without epochs: the project's ResNet-20", 2.5),
    "frozen": ("stage train_transfer without epochs: MobileNetV1", 2.5),
}
"""What is measured, and its bar, by the model's name in the study."""


def startup(inputs: Inputs, train: int = 256, pairs: int = 3) -> list[Row]:
    """Stages whose model has no epochs, against the import of torch.

    Raises:
        MissingError: dvclive is not installed, so that stages cannot run, or an input is not there.
    """
    if importlib.util.find_spec("dvclive") is None:
        raise MissingError("dvclive, which stages use, is not installed")
    mobilenet = inputs.transfer("frozen")
    own = changed(mobilenet, backbone=PROJECT, weights="pretrained", args={}, image_size=None)
    models: dict[str, Model] = {
        "resnet20": scratch("resnet20"),
        "pretrained": own,
        "frozen": mobilenet,
    }
    with tempfile.TemporaryDirectory() as folder:
        _write_study(Path(folder), models, inputs.part(train, train // 9).root)
        return [_row(Path(folder), name, model, pairs) for name, model in models.items()]


def _write_study(folder: Path, models: dict[str, Model], prepared: Path) -> None:
    """A study's folder as its training stages want it."""
    study = Params(
        **{
            **dict(recipes()),
            "scratch": [name for name, model in models.items() if isinstance(model, Scratch)],
            "transfer": [name for name, model in models.items() if isinstance(model, Transfer)],
            "models": {name: untrained(model) for name, model in models.items()},
        }
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    (folder / "data").mkdir()
    (folder / "data" / "prepared").symlink_to(prepared.resolve())
    (folder / "backbones").symlink_to(ROOT / "backbones")


def _row(folder: Path, name: str, model: Model, pairs: int) -> Row:
    stage = "train_scratch" if isinstance(model, Scratch) else "train_transfer"
    command = ["-m", f"stages.{stage}", name, "all", "0"]
    found = [
        (_seconds(folder, command), _seconds(folder, ["-c", "import torch"]))
        for _ in range(pairs + 1)
    ][1:]  # the first finds nothing in the disk's cache
    bench, most = STAGES[name]
    shown = ", ".join(f"{stage:.1f} and {bare:.1f}" for stage, bare in found)
    return Row(
        bench,
        "python -c 'import torch'",
        [stage / bare for stage, bare in found],
        bar=Bar("≤", most),
        note=f"Whole processes; seconds: {shown}.",
    )


def _seconds(folder: Path, arguments: list[str]) -> float:
    """Of a python process in a folder, from start to exit."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second run compiles nothing
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return seconds
