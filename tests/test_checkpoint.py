"""Interrupted training, continued to the same bytes."""

import itertools
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import training
from tests.prepared_data import bright_or_dark
from tests.results import Made, make
from vision import features
from vision.checkpoint import Checkpoint, digest
from vision.errors import Stopped, UserError
from vision.fit import Row
from vision.params import (
    Adam,
    Augment,
    Finetune,
    HeadRecipe,
    Plateau,
    Runtime,
    Scratch,
    Transfer,
)
from vision.prepared import Prepared
from vision.train import Trained, train

RECIPE: dict[str, Any] = {"batch_size": 8, "optimizer": Adam(name="adam", lr=0.003)}
SCRATCH = Scratch(
    net="simple_cnn",
    dropout=0.3,
    epochs=6,
    schedule=Plateau(name="reduce_on_plateau", patience=0),
    augment=Augment(flip=True, crop=2),
    early_stopping=4,
    **RECIPE,
)
SHORT = SCRATCH.model_copy(update={"epochs": 4})
TRANSFER = Transfer(
    backbone="backbones/resnet20_cifar10_jpeg",
    dropout=0.3,
    head=HeadRecipe(epochs=4, **RECIPE),
    finetune=Finetune(layers=0.3, epochs=2, augment=Augment(crop=1), **RECIPE),
)

EVERYTHING = Scratch.model_validate(
    {
        "net": "simple_cnn",
        "epochs": 4,
        "batch_size": 16,
        "accumulate": 2,
        "optimizer": {"name": "muon", "lr": 0.1, "others": {"lr": 1.0, "bias_lr": 10.0}},
        "schedule": {"name": "linear"},
        "stem_epochs": 2,
        "clip": 1.0,
        "ema": 0.9,
        "augment": {"flip": "alternating", "mixup": 0.2, "cutmix": 1.0, "erase": 0.5},
    }
)
CACHED = Transfer(
    backbone="backbones/resnet20_cifar10_jpeg",
    finetune=Finetune(layers=0.3, epochs=4, views=2, augment=Augment(crop=1), **RECIPE),
)
CACHED_TWICE = CACHED.model_copy(update={"head": HeadRecipe(epochs=2, **RECIPE)})


class StopAfter:
    """A watcher that asks to stop after so many steps."""

    def __init__(self, checkpoint: Checkpoint | None = None, steps: int = -1) -> None:
        self.checkpoint, self.left, self.rows = checkpoint, steps, list[Row]()
        self.images, self.epochs = 0, list[int]()

    def resumed(self, rows: Sequence[Row], images: int) -> None:
        self.rows, self.images = list(rows), images

    def step(self, images: int) -> None:
        self.images += images
        self.left -= 1
        if self.left == 0 and self.checkpoint:
            self.checkpoint.stopping = True

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        self.rows.append(row)
        self.epochs.append(self.images)
        self.images = 0


CPU = Runtime(device="cpu")


def run(
    model: Scratch | Transfer,
    prepared: Prepared,
    checkpoint: Checkpoint | None = None,
    steps: int = -1,
    runtime: Runtime = CPU,
) -> tuple[Trained, StopAfter]:
    watcher = StopAfter(checkpoint, steps)
    subset = prepared.training_subset("all", 0)
    return train(model, prepared, subset, 3, runtime, watcher, checkpoint), watcher


def content(trained: Trained) -> Any:
    state = trained.network.state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}, trained.rows


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize(
    "model",
    [SCRATCH, TRANSFER, EVERYTHING, CACHED],
    ids=["scratch", "transfer", "everything", "cached"],
)
def test_a_run_stopped_anywhere_ends_in_the_same_bytes(
    model: Scratch | Transfer, prepared: Prepared, tmp_path: Path
) -> None:
    whole, watched = run(model, prepared)
    steps = -watched.left - 1
    assert steps >= 20
    for stop in {
        1,
        2,
        steps // 3,
        steps // 2,
        steps - 3,
        *random.Random(0).sample(range(steps), 6),
    }:
        checkpoint = Checkpoint("x", tmp_path)
        with pytest.raises(Stopped, match="run it again"):
            run(model, prepared, checkpoint, steps=stop)
        again, seen = run(model, prepared, Checkpoint("x", tmp_path))
        assert content(again) == content(whole), stop
        assert seen.rows == whole.rows, "the watcher is told of every epoch"
        left = len(seen.epochs)
        assert seen.epochs == watched.epochs[-left:] or not left, "and of every image"
        checkpoint.remove()


def test_a_run_may_be_continued_by_a_process_that_makes_its_batches_ahead(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(SHORT, prepared)
    with pytest.raises(Stopped):
        run(SHORT, prepared, Checkpoint("x", tmp_path), steps=11)
    monkeypatch.setattr("vision.runtime.available_memory", lambda: 0)
    again, _ = run(SHORT, prepared, Checkpoint("x", tmp_path))
    assert content(again) == content(whole)


def test_a_damaged_checkpoint_is_set_aside(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint("x", tmp_path)
    with pytest.raises(Stopped):
        run(SCRATCH, prepared, checkpoint, steps=5)
    torn = checkpoint.file.read_bytes()[:-100]
    checkpoint.file.write_bytes(torn)
    assert checkpoint.load() is None
    assert "damaged: set aside" in capsys.readouterr().err
    assert checkpoint.file.with_suffix(".damaged").read_bytes() == torn
    again, _ = run(SCRATCH, prepared, Checkpoint("x", tmp_path))
    assert content(again) == content(run(SCRATCH, prepared)[0])


def test_a_full_disk_keeps_the_checkpoint_before(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint("x", tmp_path)
    checkpoint.save({"step": torch.tensor(1)})

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room"):
        checkpoint.save({"step": torch.tensor(2)})
    assert Checkpoint("x", tmp_path).load() == {"step": torch.tensor(1)}
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"]


def test_what_takes_long_to_save_is_saved_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of 267 MB took 2.4 s; every 20 s, that was a tenth of the training time."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    checkpoint = Checkpoint("x", tmp_path, interval=20, share=0.02)
    for seconds, pause in ((0.1, 20), (2.4, 120)):

        def write(descriptor: int, seconds: float = seconds) -> None:
            clock[0] += seconds

        monkeypatch.setattr(os, "fsync", write)
        checkpoint.save({})
        clock[0] += pause - 1
        assert not checkpoint.due()
        clock[0] += 2
        assert checkpoint.due()


def test_a_digest_changes_with_what_a_result_depends_on() -> None:
    assert digest({"lr": 0.1}, 1) == digest({"lr": 0.1}, 1)
    assert digest({"lr": 0.1}, 1) != digest({"lr": 0.2}, 1)
    assert digest({"lr": 0.1}, 1) != digest({"lr": 0.1}, 2)


def test_a_checkpoint_of_other_hardware_is_another_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So of another number of threads, with which sums are added up in another order."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path, Made())
    monkeypatch.setattr(sys, "argv", ["train", "simple_cnn", "all", "0"])
    files: list[Path] = []

    def stop(*arguments: Any) -> Any:
        files.append(arguments[-1].file)
        raise Stopped("")

    monkeypatch.setattr(training, "train", stop)
    for threads in (1, 2, 1):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        with pytest.raises(Stopped):
            training.train_run(Scratch)
    assert files[0] == files[2] != files[1]


def receive(number: int) -> None:
    """A signal, in the middle of work."""
    os.kill(os.getpid(), number)
    time.sleep(10)


def test_what_has_not_begun_stops_at_once(tmp_path: Path) -> None:
    """While weights are fetched, or frozen layers run, no step comes after which to save."""
    for number in (signal.SIGTERM, signal.SIGINT):
        checkpoint = Checkpoint("x", tmp_path)
        with checkpoint.saving_on_signals(), pytest.raises(Stopped, match="run it again to go on"):
            receive(number)


def test_a_step_is_waited_for_unless_ctrl_c_is_pressed_twice(tmp_path: Path) -> None:
    checkpoint = Checkpoint("x", tmp_path)
    with checkpoint.saving_on_signals():
        assert not checkpoint.due()
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert checkpoint.due()
        with pytest.raises(Stopped):
            receive(signal.SIGINT)


def test_frozen_layers_of_a_second_phase_can_be_stopped(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(CACHED_TWICE, prepared)
    real, calls = features._run, itertools.count()

    def press(*arguments: Any) -> Any:
        if next(calls) == 2:  # the first phase takes two: training and validation
            receive(signal.SIGTERM)
            pytest.fail("it did not stop at once")
        return real(*arguments)

    monkeypatch.setattr(features, "_run", press)
    checkpoint = Checkpoint("x", tmp_path)
    with checkpoint.saving_on_signals(), pytest.raises(Stopped, match=r"go on from .*x\.ckpt"):
        run(CACHED_TWICE, prepared, checkpoint)
    kept = Checkpoint("x", tmp_path).load()
    assert kept
    assert len(kept["fit"]["rows"]) == 2, "the first phase is not lost"
    again, _ = run(CACHED_TWICE, prepared, Checkpoint("x", tmp_path))
    assert content(again) == content(whole)


def _train_in_a_process(root: Path, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    checkpoint = Checkpoint("x", folder, interval=0.02, share=1.0)
    with checkpoint.saving_on_signals():
        trained, _ = run(SHORT, Prepared(root), checkpoint)
    torch.save(content(trained), folder / "part")
    (folder / "part").rename(folder / "done")


def test_twenty_killed_processes_end_in_the_same_bytes(prepared: Prepared, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_checkpoint"])

    def go(folder: Path, kill_after: float | None, how: int = signal.SIGKILL) -> float:
        started = time.monotonic()
        process = context.Process(target=_train_in_a_process, args=(prepared.root, folder, 1))
        process.start()
        process.join(kill_after)
        if process.is_alive():
            assert process.pid
            os.kill(process.pid, how)
            process.join()
        return time.monotonic() - started

    (tmp_path / "whole").mkdir()
    go(tmp_path / "whole", None)  # the first also starts the server
    seconds = go(tmp_path / "whole", None)
    whole = torch.load(tmp_path / "whole" / "done", weights_only=False)
    draw = random.Random(0)
    killed = 0
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        go(folder, draw.uniform(0.1, 0.9) * seconds, draw.choice((signal.SIGKILL, signal.SIGTERM)))
        killed += not (folder / "done").exists()
        go(folder, None)
        assert torch.load(folder / "done", weights_only=False) == whole, number
    assert killed >= 10, "too few processes were killed before their end for this to say anything"
