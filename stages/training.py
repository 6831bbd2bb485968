"""What train_scratch and train_transfer share: one run of the study, from params to files."""

import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from dvclive import Live
from tqdm import tqdm

from vision import params, runtime, saved
from vision.checkpoint import Checkpoint, digest
from vision.errors import UserError
from vision.examples import Images
from vision.fit import Length, Row
from vision.params import Model, Run, Scratch, Transfer, phases
from vision.predict import predict
from vision.prepared import Prepared
from vision.train import Trained, train

MEASURED_IMAGES = 256
"""At most, in one go; a large validation split would take long."""
MEASURED_SECONDS = 0.5
"""Of predictions, at least; the fastest pass counts, since other work only ever slows one down."""


def train_run(kind: type[Scratch] | type[Transfer]) -> str:
    """Train the run that the command line names (model, labels, seed), whose model is of this kind;
    write `models/…` (the same from run to run) and `reports/training/…` (what varies)."""
    study = params.load()
    run = _parse(sys.argv[1:], study.models, kind)
    prepared = Prepared(Path("data/prepared"))
    subset = prepared.training_subset(run.labels, run.seed)
    report = run.under(Path("reports/training"))
    model = study.models[run.model]
    lengths = {name: Length.of(recipe, len(subset)) for name, recipe in phases(model).items()}
    expected = sum(length.images for length in lengths.values())
    wanted = study.runtime
    hardware = runtime.describe(runtime.device_of(wanted))
    checkpoint = Checkpoint(
        digest(
            run, model.model_dump(), wanted.model_dump(), prepared.manifest.model_dump(), hardware
        )
    )
    with (
        Live(str(report), dvcyaml=False, save_dvc_exp=False) as live,
        _bar(expected, str(run)) as bar,
    ):
        progress = Progress(live, bar, lengths)
        with checkpoint.saving_on_signals():
            trained = train(model, prepared, subset, run.seed, wanted, progress, checkpoint)
    folder = run.under(Path("models"))
    saved.save(folder, trained.network, trained.description)
    _write_table(folder / "history.csv", Row, trained.rows)
    _write_table(report / "epochs.csv", Moment, progress.moments)
    cost = {"seconds": trained.seconds, **progress.speed(), **_measure(trained)}
    (report / "cost.json").write_text(json.dumps(cost, indent=2) + "\n")
    checkpoint.remove()
    return f"{folder}: {_summary(trained)}, {trained.seconds:.1f} s"


@dataclass(frozen=True)
class Moment:
    """The end of an epoch: a line of epochs.csv."""

    epoch: int
    images: int
    """Trained on since the start."""
    seconds: float | None
    """Of wall time since the start, validation and all that came before the first step included.
    Nothing in a run that was continued: its times before the interruption are not kept by epoch."""


class Progress:
    """Follows training for the terminal, for dvclive, and for the page's question of how soon."""

    def __init__(self, live: Live, bar: "tqdm[Any]", lengths: dict[str, Length]) -> None:
        self.live, self.bar, self.lengths = live, bar, lengths
        self.images, self.seconds, self.epochs = 0, 0.0, 0
        self.started: float | None = time.perf_counter()
        self.moments: list[Moment] = []

    def resumed(self, rows: Sequence[Row], images: int) -> None:
        self.started = None
        for row in rows:
            self.epoch(row, 0, 0.0)
        done = self.moments[-1].images if self.moments else 0
        self.bar.initial = self.bar.n = done + images  # the rate is of what comes after

    def step(self, images: int) -> None:
        self.bar.update(images)

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        self.images, self.seconds, self.epochs = (
            self.images + images,
            self.seconds + seconds,
            row.epoch,
        )
        length = self.lengths[row.phase]
        before = self.moments[-1].images if self.moments else 0
        seconds_since = self.started and time.perf_counter() - self.started
        self.moments.append(
            Moment(row.epoch, before + length.steps * length.batch_size, seconds_since)
        )
        self.bar.set_postfix_str(
            f"epoch {row.epoch}, validation {row.val_score:.4g}", refresh=False
        )
        for name in ("lr", "train_loss", "train_score", "val_loss", "val_score"):
            self.live.log_metric(name, getattr(row, name))
        self.live.next_step()

    def speed(self) -> dict[str, float | None]:
        rate = self.images / self.seconds if self.seconds else None
        return {"epochs": self.epochs, "images_per_second": rate}


def _bar(images: int, name: str) -> "tqdm[Any]":
    # a log file wants fewer lines of progress than a terminal
    interval = 0.5 if sys.stderr.isatty() else 30
    # the mean rate of all steps: that of the last few leaves out validation
    return tqdm(total=images, unit=" images", desc=name, mininterval=interval, smoothing=0)


def _parse(
    arguments: list[str], models: dict[str, Model], kind: type[Scratch] | type[Transfer]
) -> Run:
    known = [name for name, model in models.items() if isinstance(model, kind)]
    match arguments:
        case [model, labels, seed] if model in known and seed.isdecimal():
            if labels == "all":
                return Run(model, "all", int(seed))
            if labels.isdecimal() and int(labels) > 0:
                return Run(model, int(labels), int(seed))
    raise UserError(
        "give a model of params.yaml, its labels a class (a number, or all) and a seed, such as "
        f"{known[0] if known else 'resnet20'} all 0; not: {' '.join(arguments) or 'nothing'}. "
        f"Models of this stage: {', '.join(known) or 'none'}"
    )


def _write_table(path: Path, kind: type[Row] | type[Moment], lines: Sequence[Row | Moment]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)


def _measure(trained: Trained) -> dict[str, object]:
    """Inference speed on the validation images, and what every time was measured on."""

    def first(count: int) -> Images:
        val = trained.val
        return replace(val, pixels=val.pixels[:count], targets=val.targets[:count])

    predict(trained.network, first(8), trained.compute)  # the first call sets kernels up
    measured = first(MEASURED_IMAGES)
    passes: list[float] = []
    while sum(passes) < MEASURED_SECONDS:
        started = time.perf_counter()
        predict(trained.network, measured, trained.compute).cpu()
        passes.append(time.perf_counter() - started)
    return {
        "inference_images_per_second": len(measured) / min(passes),
        "peak_memory_bytes": runtime.peak_memory(trained.compute.device),
        "device": runtime.describe(trained.compute.device),
        "precision": trained.compute.precision,
        "torch": torch.__version__,
    }


def _summary(trained: Trained) -> str:
    count = f"{trained.description.parameters:,} parameters"
    if not trained.rows:
        return count
    scores = [row.val_score for row in trained.rows]
    if trained.description.task == "classification":
        return f"{count}, best validation accuracy {max(scores):.2%}"
    return f"{count}, best validation MAE {min(scores):.4g} {trained.description.unit}"
