"""The prefix cache: what is frozen runs once for each image and view."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.prepared_data import bright_or_dark
from tests.test_checkpoint import StopAfter
from tests.test_fit import CPU, Recorder
from vision import features, runtime
from vision.checkpoint import Checkpoint
from vision.errors import Stopped, UserError
from vision.network import Network
from vision.params import Runtime, Transfer, check
from vision.prepared import Prepared
from vision.train import Trained, train

TRIED = 12
"""Images that the cut is tried on, and by which the outputs' size is known."""
SGD = {"name": "sgd", "lr": 0.05}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return bright_or_dark(tmp_path_factory.mktemp("classes"), size=16)


class Counter:
    """How many images pass through the body's first layer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 0
        build = Network.__init__

        def counted(network: Network, *args: Any, **kwargs: Any) -> None:
            build(network, *args, **kwargs)
            first = next(m for m in network.body.modules() if isinstance(m, nn.Conv2d))
            first.register_forward_hook(self.count)

        monkeypatch.setattr(Network, "__init__", counted)

    def count(self, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        self.images += len(inputs[0])


def model_of(**finetune: Any) -> Transfer:
    """Three epochs of the last 30 % of ResNet-20's layers, but for what `finetune` says."""
    recipe = {"layers": 0.3, "epochs": 3, "batch_size": 32, "optimizer": SGD, **finetune}
    model = {"backbone": "backbones/resnet20_cifar10_jpeg", "dropout": 0.2, "finetune": recipe}
    return Transfer.model_validate(model)


def run(prepared: Prepared, **finetune: Any) -> Trained:
    subset = prepared.training_subset("all", 0)
    return train(model_of(**finetune), prepared, subset, 0, CPU, Recorder())


def state(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


def test_what_is_frozen_sees_each_image_once(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = classes.manifest.counts
    counter = Counter(monkeypatch)
    cached = run(classes)
    assert counter.images == counts["train"] + counts["val"] + TRIED
    assert f"outputs of {counts['train']} images in 1 view(s)" in capsys.readouterr().err
    monkeypatch.setattr("vision.prefix.cut", lambda network: None)
    counter.images = 0
    whole = run(classes)
    assert counter.images > 2 * counts["train"]  # what fills no batch is dropped
    # maps are kept as float16, which training forgives
    for cached_row, row in zip(cached.rows, whole.rows, strict=True):
        assert cached_row.train_loss == pytest.approx(row.train_loss, abs=0.01)
        assert cached_row.val_loss == pytest.approx(row.val_loss, abs=0.01)
    assert state(cached).keys() == state(whole).keys()


def test_training_the_rest_trains_the_network_and_leaves_the_front_alone(
    classes: Prepared,
) -> None:
    start, end = run(classes, epochs=0), run(classes)
    changed = {k for k, v in state(start).items() if not torch.equal(v, state(end)[k])}
    trained = {name for name, p in end.network.named_parameters() if p.requires_grad}
    assert trained & changed
    assert all(name in trained or "running" in name or "batches" in name for name in changed)
    assert any(name.startswith("body.0.") for name in state(end).keys() - changed)
    assert end.description.trainable_parameters < end.description.parameters


def test_augmented_images_go_through_the_whole_network_unless_views_are_asked_for(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = classes.manifest.counts
    counter = Counter(monkeypatch)
    augmented = run(classes, augment={"flip": True, "crop": 2})
    assert counter.images > 2 * counts["train"]  # what fills no batch is dropped
    counter.images = 0
    views = run(classes, augment={"flip": True, "crop": 2}, views=2, epochs=4)
    assert counter.images == 2 * counts["train"] + counts["val"] + TRIED
    plain = run(classes, epochs=4)
    losses = [[row.train_loss for row in t.rows] for t in (views, plain, augmented)]
    assert losses[0] != losses[1]
    assert losses[0][0] != losses[0][2]
    again = run(classes, augment={"flip": True, "crop": 2}, views=2, epochs=4)
    assert all(torch.equal(v, state(again)[k]) for k, v in state(views).items())


def test_views_and_mixing_do_not_go_together() -> None:
    recipe = {"epochs": 1, "optimizer": SGD, "views": 2, "augment": {"mixup": 0.2}}
    study = {
        "study": "x",
        "data": {"source": "digits", "path": "x"},
        "seeds": [0],
        "labels_per_class": ["all"],
        "scratch": [],
        "transfer": ["frozen"],
        "models": {"frozen": {"backbone": "backbones/x", "head": recipe}},
        "evaluation": {},
        "runtime": {},
    }
    with pytest.raises(UserError, match=r"models\.frozen\.head: views .* leave out mixup"):
        check(study)


@pytest.mark.parametrize("place", ["memory", "file"])
def test_outputs_are_the_same_wherever_they_are_kept(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    (tmp_path / "backbones").symlink_to(Path("backbones").absolute())
    monkeypatch.chdir(tmp_path)
    here = run(classes)
    monkeypatch.setattr(features, "_place", lambda size, compute: place)
    there = run(classes)
    assert all(torch.equal(v, state(there)[k]) for k, v in state(here).items())
    assert not list((tmp_path / ".checkpoints").glob("*")), "the file goes with the process"


def test_views_are_augmented_in_full_precision(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under autocast they would turn with the precision of bf16, but not where images stream."""

    def turned() -> dict[str, torch.Tensor]:
        recipe = {
            "epochs": 1,
            "views": 2,
            "optimizer": SGD,
            "augment": {"rotation": 15.0, "zoom": 0.1},
        }
        model = {"backbone": "backbones/resnet20_cifar10_jpeg", "head": recipe}
        subset = classes.training_subset("all", 0)
        bf16 = Runtime(device="cpu", precision="bf16")
        trained = train(Transfer.model_validate(model), classes, subset, 0, bf16, Recorder())
        return state(trained)

    held = turned()
    monkeypatch.setattr(runtime.Compute, "holds", lambda compute, size: False)
    streamed = turned()
    assert all(torch.equal(v, streamed[k]) for k, v in held.items())


@pytest.mark.parametrize("room", ["memory", None])
def test_a_training_goes_on_as_it_began_whatever_room_there_is_by_then(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: str | None
) -> None:
    model, subset = model_of(), classes.training_subset("all", 0)

    def go(room: str | None, steps: int = -1) -> Trained:
        monkeypatch.setattr(features, "_place", lambda size, compute: room)
        checkpoint = Checkpoint("x", tmp_path)
        watcher = StopAfter(checkpoint, steps)
        return train(model, classes, subset, 0, CPU, watcher, checkpoint)

    whole = go(room)
    with pytest.raises(Stopped):
        go(room, steps=4)
    if room:
        with pytest.raises(UserError, match="no room for them, though there was"):
            go(None)
    again = go("memory")
    assert all(torch.equal(v, state(again)[k]) for k, v in state(whole).items())


def test_without_room_the_front_runs_at_every_step_and_the_engine_says_so(
    classes: Prepared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Disk:
        free = 0

    monkeypatch.setattr(runtime, "available_memory", lambda: 2**18)
    monkeypatch.setattr("shutil.disk_usage", lambda path: Disk())
    trained = run(classes)
    assert len(trained.rows) == 3
    assert "no room for them, so that they are computed anew" in capsys.readouterr().err
