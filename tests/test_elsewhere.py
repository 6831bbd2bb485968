"""Training where tensors are not the CPU's, on a device that is made up."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests import elsewhere
from tests.prepared_data import bright_or_dark, brightness
from vision import examples, saved
from vision.checkpoint import Checkpoint
from vision.errors import Stopped
from vision.evaluation import gradcam
from vision.evaluation.mistakes import Mistakes
from vision.fit import Row
from vision.params import Runtime, Scratch, Transfer
from vision.predict import predict
from vision.prepared import Prepared
from vision.train import Trained, train

BACKBONE = "backbones/resnet20_cifar10_jpeg"
SGD = {"name": "sgd", "lr": 0.05}
MUON = {
    "name": "muon",
    "lr": 0.05,
    "momentum": 0.6,
    "others": {"lr": 0.1, "bias_lr": 0.1, "momentum": 0.9, "weight_decay": 0.0},
}
SHORT = {"epochs": 2, "batch_size": 16, "optimizer": SGD, "schedule": {"name": "one_cycle"}}
MOVED = {"flip": True, "crop": 1, "rotation": 10.0, "shift": 0.1, "zoom": 0.1}
MIXED = {"flip": "alternating", "mixup": 0.2, "cutmix": 1.0, "erase": 0.5}
STEADY = {"clip": 1.0, "ema": 0.9, "accumulate": 2, "balance": "weights", "dropout": 0.2}
MODELS: dict[str, Scratch | Transfer] = {
    "scratch": Scratch.model_validate({"net": "simple_cnn", **SHORT, "augment": MOVED}),
    "regularised": Scratch.model_validate(
        {"net": "simple_cnn", **SHORT, **STEADY, "augment": MIXED}
    ),
    "muon": Scratch.model_validate(
        {"net": "speednet", **SHORT, "optimizer": MUON, "stem_epochs": 1, "augment": {"crop": 2}}
    ),
    "frozen": Transfer.model_validate({"backbone": BACKBONE, "head": SHORT}),
    "views": Transfer.model_validate(
        {"backbone": BACKBONE, "head": {**SHORT, "views": 2, "augment": {"flip": True}}}
    ),
    "finetuned": Transfer.model_validate(
        {
            "backbone": BACKBONE,
            "head": SHORT,
            "finetune": {**SHORT, "layers": 0.4, "balance": "sampling", "augment": MOVED},
        }
    ),
}
RUNTIME = Runtime(precision="fp32")
# torch takes the device for one that holds nothing
pytestmark = pytest.mark.filterwarnings("ignore:.*which is a no-op")


class Steps:
    """Sees that from one step of an epoch to the next, the CPU does not wait for the device."""

    def __init__(self, waits: Counter[str]) -> None:
        self.waits, self.counts = waits, list[Counter[str]]()

    def resumed(self, rows: Sequence[Row], images: int) -> None: ...

    def step(self, images: int) -> None:
        self.counts.append(self.waits.copy())

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        assert len(self.counts) > 2
        assert all(counts == self.counts[0] for counts in self.counts)
        self.counts.clear()


class Stopping(Steps):
    """Asks to stop at the first step of the second epoch."""

    def __init__(self, waits: Counter[str], checkpoint: Checkpoint) -> None:
        super().__init__(waits)
        self.checkpoint = checkpoint

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        super().epoch(row, images, seconds)
        self.checkpoint.stopping = True


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("prepared"))


def run(
    model: Scratch | Transfer,
    prepared: Prepared,
    watcher: Steps,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    subset = prepared.training_subset("all", 0)
    return train(model, prepared, subset, 0, RUNTIME, watcher, checkpoint)


@pytest.mark.parametrize("name", MODELS)
def test_training_goes_on_there_and_ends_where_it_does_here(
    name: str, prepared: Prepared, tmp_path: Path
) -> None:
    checkpoint = Checkpoint("x", tmp_path)
    with elsewhere.device() as waits:
        with pytest.raises(Stopped):
            run(MODELS[name], prepared, Stopping(waits, checkpoint), checkpoint)
        trained = run(MODELS[name], prepared, Steps(waits), Checkpoint("x", tmp_path))
        assert all(p.device == elsewhere.DEVICE for p in trained.network.parameters())
        saved.save(tmp_path, trained.network, trained.description)
    here = run(MODELS[name], prepared, Steps(Counter()))
    assert here.rows == trained.rows


@pytest.mark.parametrize("name", ["scratch", "frozen"])
def test_predictions_and_maps_are_there_what_they_are_here(name: str, prepared: Prepared) -> None:
    def evidence() -> tuple[NDArray[np.float32], Mistakes]:
        trained = run(MODELS[name], prepared, Steps(Counter()))
        test = examples.load(prepared, "test", trained.description.input, trained.compute)
        outputs = predict(trained.network, test, trained.compute, "flip").cpu().numpy()
        targets = prepared.targets("test")
        return outputs, gradcam.of_mistakes(trained.network, test, outputs, 1 - targets)

    with elsewhere.device():
        outputs, mistakes = evidence()
    expected, same = evidence()
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(mistakes.seen, same.seen)


def test_numbers_are_learned_there_as_here(tmp_path: Path) -> None:
    prepared = brightness(tmp_path)
    with elsewhere.device() as waits:
        trained = run(MODELS["scratch"], prepared, Steps(waits))
    assert trained.rows == run(MODELS["scratch"], prepared, Steps(Counter())).rows


def test_what_is_left_on_the_cpu_is_noticed() -> None:
    with elsewhere.device() as waits:
        there = torch.ones(2, device=elsewhere.DEVICE)
        with pytest.raises(RuntimeError, match="another device"):
            there + torch.ones(2)
        assert not waits
        there.sum().item()
        there.to("cpu")
        assert waits == {"item": 1, "copy": 1}
