"""Training from random weights: what is learned, kept, stopped, scheduled and repeated."""

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.prepared_data import bright_or_dark, noise
from vision import fit, optim, task
from vision.errors import UserError
from vision.fit import Row
from vision.network import Input, Network, build_body
from vision.params import SGD, Runtime, Scratch
from vision.predict import predict
from vision.prepared import Prepared
from vision.train import PhaseKeeper, Trained, train

CPU = Runtime(device="cpu", precision="fp32")
ADAM = {"name": "adam", "lr": 0.002}


@dataclass
class Recorder:
    """Writes down all that a watcher is told."""

    steps: list[int] = field(default_factory=list)
    epochs: list[tuple[Row, int]] = field(default_factory=list)

    def resumed(self, rows: Sequence[Row], images: int) -> None:
        raise AssertionError("nothing was interrupted")

    def step(self, images: int) -> None:
        self.steps.append(images)

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        assert seconds > 0
        self.epochs.append((row, images))


@pytest.fixture(scope="module")
def riddle(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return noise(tmp_path_factory.mktemp("riddle"))


def run(prepared: Prepared, seed: int = 0, runtime: Runtime = CPU, **values: Any) -> Trained:
    """Train simple_cnn on all images, three epochs of Adam but for what `values` say."""
    recipe = {"net": "simple_cnn", "epochs": 3, "batch_size": 32, "optimizer": ADAM, **values}
    subset = prepared.training_subset("all", seed)
    return train(Scratch.model_validate(recipe), prepared, subset, seed, runtime, Recorder())


def state(trained: Trained) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in trained.network.state_dict().items()}


def validate(trained: Trained, prepared: Prepared) -> tuple[float, float]:
    """Loss and score of the returned network on validation, computed here from its outputs."""
    learned = task.of(prepared.manifest)
    outputs = predict(trained.network, trained.val, trained.compute)
    targets = torch.from_numpy(prepared.targets("val"))
    if learned.classification:
        score = (outputs.argmax(1) == targets).float().mean()
        return F.cross_entropy(outputs, targets).item(), score.item()
    error = learned.in_unit(outputs)[:, 0] - targets
    return (error / learned.target_std).square().mean().item(), error.abs().mean().item()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_classes_are_learned_in_every_precision(classes: Prepared, precision: Any) -> None:
    runtime = Runtime(device="cpu", precision=precision)
    trained = run(classes, epochs=4, runtime=runtime)
    assert trained.rows[-1].val_score == 1.0
    assert trained.rows[-1].train_loss < trained.rows[0].train_loss
    assert validate(trained, classes)[1] == 1.0


@pytest.mark.parametrize("loss", ["l1", "l2", "huber"])
def test_numbers_are_learned_and_come_back_in_their_unit(numbers: Prepared, loss: str) -> None:
    trained = run(numbers, epochs=12, loss=loss, schedule={"name": "cosine"})
    by_mean = np.abs(numbers.targets("val") - numbers.targets("train").mean()).mean()
    error = validate(trained, numbers)[1]
    assert error < 0.3 * by_mean
    assert error == pytest.approx(min(row.val_score for row in trained.rows), rel=1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("balance", [None, "weights", "sampling"])
def test_a_rare_class_is_expected_as_often_as_the_others_where_classes_are_balanced(
    riddle: Prepared, balance: str | None, accumulate: int
) -> None:
    targets = riddle.targets("train")
    rare = np.flatnonzero(targets == 1)[:6]
    subset = np.sort(np.concatenate([np.flatnonzero(targets == 0), rare]))
    recipe = Scratch.model_validate(
        {"net": "cnn", "epochs": 12, "batch_size": 24, "optimizer": {"name": "adam", "lr": 0.02}}
        | {"args": {"depth": 1, "filters": 4}, "balance": balance, "accumulate": accumulate}
    )
    trained = train(recipe, riddle, subset, 0, CPU, Recorder())
    # where nothing can be told apart, the loss on as many of both is ln 2 for even chances
    assert (trained.rows[-1].val_loss < 0.8) == (balance is not None)


@pytest.mark.parametrize("mixed", [False, True], ids=["classes", "mixed targets"])
def test_label_smoothing_does_not_favour_a_rare_class(mixed: bool) -> None:
    """By torch's class weights, what smoothing takes from the 40 images of one class counted 20
    times as much: the least loss on them answered the other class, of 2 images."""
    classes = torch.tensor([0] * 40 + [1] * 2)
    learned = task.Task("classification", 2).balanced(classes)
    targets = F.one_hot(classes, 2).float() if mixed else classes
    recipe = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 1, "optimizer": ADAM, "label_smoothing": 0.1}
    )
    logits = torch.zeros(2, 2, requires_grad=True)  # all that is known of an image is its class
    optimizer = torch.optim.LBFGS([logits], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = learned.training_loss(logits[classes], targets, recipe)
        found.backward()
        return found

    optimizer.step(loss)
    expected = torch.tensor([[0.95, 0.05], [0.05, 0.95]])
    assert torch.allclose(logits.detach().softmax(1), expected, atol=1e-3)


def test_class_weights_leave_validation_alone(classes: Prepared) -> None:
    trained = run(classes, balance="weights")
    best = max(trained.rows, key=lambda row: (row.val_score, -row.val_loss))
    assert validate(trained, classes) == pytest.approx((best.val_loss, best.val_score), rel=1e-4)


def test_numbers_are_learned_by_squared_error_unless_told_otherwise(numbers: Prepared) -> None:
    runs = {loss: run(numbers, epochs=1, loss=loss) for loss in (None, "l1", "l2", "huber")}
    assert state(runs[None]) == state(runs["l2"])
    losses = {row.val_loss for trained in runs.values() for row in trained.rows}
    assert len(losses) == 3
    assert runs["l2"].rows[0].val_loss == pytest.approx(validate(runs["l2"], numbers)[0], rel=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "net": "resnet20",
            "epochs": 2,
            "dropout": 0.3,
            "augment": {"flip": True, "crop": 1, "rotation": 10.0, "erase": 0.5},
            "schedule": {"name": "one_cycle"},
        },
    ],
    ids=["plain", "dropout and augmentation"],
)
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    classes: Prepared, values: dict[str, Any]
) -> None:
    first = run(classes, seed=3, **values)
    again, other = run(classes, seed=3, **values), run(classes, seed=4, **values)
    assert state(first) == state(again)
    assert first.rows == again.rows
    assert first.description == again.description
    assert state(first) != state(other)


class Restless(Recorder):
    """Draws random numbers of its own."""

    def step(self, images: int) -> None:
        torch.rand(1)


def test_dropout_depends_on_the_step_and_not_on_what_else_is_drawn(classes: Prepared) -> None:
    model = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 2, "batch_size": 32, "optimizer": ADAM, "dropout": 0.5}
    )
    subset = classes.training_subset("all", 0)
    calm, restless = (
        train(model, classes, subset, 0, CPU, watcher) for watcher in (Recorder(), Restless())
    )
    assert state(calm) == state(restless)


def test_the_order_of_the_images_depends_on_the_seed(classes: Prepared) -> None:
    start = run(classes, epochs=0)
    recipe = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 1, "batch_size": 4, "optimizer": ADAM}
    )
    losses = {
        fit.fit(
            copy.deepcopy(start.network),
            start.val,
            start.val,
            recipe,
            task.of(classes.manifest),
            start.compute,
            phase="train",
            seed=seed,
            first_epoch=first_epoch,
            stem=[],
            rates={},
            watcher=Recorder(),
            keeper=PhaseKeeper(None, start.network, None, "train", [], 0.0),
        )[0].train_loss
        for seed, first_epoch in ((0, 0), (1, 0), (0, 1))
    }
    assert len(losses) == 3


def test_dropout_is_active_in_training_and_not_in_validation(classes: Prepared) -> None:
    plain, dropped = run(classes, epochs=1), run(classes, epochs=1, dropout=0.5)
    assert plain.rows[0].train_loss != dropped.rows[0].train_loss
    assert dropped.rows[0].val_loss == pytest.approx(validate(dropped, classes)[0], rel=1e-5)


def test_the_watcher_hears_of_every_step_and_epoch(classes: Prepared) -> None:
    model = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 2, "batch_size": 32, "optimizer": ADAM}
    )
    subset, watcher = classes.training_subset("all", 0), Recorder()
    trained = train(model, classes, subset, 0, CPU, watcher)
    steps = len(subset) // 32
    assert len(subset) % 32  # what fills no batch is left for another epoch
    assert watcher.steps == [32] * steps * 2
    assert watcher.epochs == [(row, steps * 32) for row in trained.rows]
    assert [(row.phase, row.epoch) for row in trained.rows] == [("train", 1), ("train", 2)]


def test_fewer_images_than_a_batch_make_one_batch(classes: Prepared) -> None:
    model = Scratch.model_validate(
        {"net": "resnet20", "epochs": 2, "batch_size": 512, "optimizer": ADAM}
    )
    watcher = Recorder()
    train(model, classes, classes.training_subset(3, 0), 0, CPU, watcher)
    assert watcher.steps == [6, 6]


@pytest.mark.parametrize("lr", [0.001, 0.3])
def test_the_weights_that_were_best_on_validation_are_kept(riddle: Prepared, lr: float) -> None:
    trained = run(riddle, epochs=8, optimizer={"name": "adam", "lr": lr})
    untrained = validate(run(riddle, epochs=0), riddle)
    seen = [untrained, *((row.val_loss, row.val_score) for row in trained.rows)]
    best = max(seen, key=lambda pair: (pair[1], -pair[0]))
    assert best != seen[-1]  # or the last weights would do
    assert validate(trained, riddle) == pytest.approx(best, rel=1e-4)


def test_a_start_that_overflows_is_worse_than_any_epoch(
    numbers: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is greater than nan: the untrained weights were kept without a word."""
    real, calls = fit.evaluate, itertools.count()

    def overflows_at_first(*arguments: Any) -> tuple[float, float]:
        return real(*arguments) if next(calls) else (math.nan, math.nan)

    monkeypatch.setattr(fit, "evaluate", overflows_at_first)
    trained = run(numbers)
    best = min(row.val_score for row in trained.rows)
    assert validate(trained, numbers)[1] == pytest.approx(best, rel=1e-4)


def test_training_that_only_harms_leaves_the_weights_as_they_were(numbers: Prepared) -> None:
    harmed = run(numbers, epochs=2, optimizer={"name": "adam", "lr": 100.0})
    untrained = run(numbers, epochs=0)
    assert all(row.val_score > validate(untrained, numbers)[1] for row in harmed.rows)
    assert state(harmed) == state(untrained)


def test_no_epochs_leave_the_network_as_its_seed_made_it(classes: Prepared) -> None:
    trained = run(classes, seed=5, epochs=0)
    torch.manual_seed(5)
    expects = trained.description.input
    fresh = Network(build_body(trained.description.architecture, expects), expects, 2, 0.0)
    assert trained.rows == []
    assert state(trained) == {k: v.numpy().tobytes() for k, v in fresh.state_dict().items()}


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_waits_for_so_many_epochs(numbers: Prepared, patience: int) -> None:
    trained = run(numbers, epochs=60, early_stopping=patience)
    errors = [row.val_score for row in trained.rows]
    assert patience + 1 < len(errors) < 60
    waits = [n - errors.index(min(errors[: n + 1])) for n in range(len(errors))]
    assert waits[-1] == patience
    assert max(waits[:-1]) < patience


def test_as_good_as_before_is_no_reason_to_go_on(classes: Prepared) -> None:
    frozen = {"name": "sgd", "lr": 1e-30}
    assert len(run(classes, epochs=9, early_stopping=2, optimizer=frozen).rows) == 2


def rates(prepared: Prepared, epochs: int, schedule: dict[str, Any], **values: Any) -> list[float]:
    """The rate of each epoch, one step an epoch, unless `values` say otherwise."""
    values = {"batch_size": 1000, "optimizer": {"name": "sgd", "lr": 0.01}, **values}
    rows = run(prepared, epochs=epochs, schedule=schedule, **values).rows
    return [row.lr for row in rows]


def test_a_constant_rate_stays(classes: Prepared) -> None:
    assert rates(classes, 3, {"name": "constant"}) == [0.01] * 3


def test_step_multiplies_the_rate_every_so_many_epochs(classes: Prepared) -> None:
    found = rates(classes, 5, {"name": "step", "step_size": 2, "gamma": 0.1}, batch_size=32)
    assert found == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001])


def test_cosine_follows_half_a_wave_over_all_steps(classes: Prepared) -> None:
    steps = len(classes.training_subset("all", 0)) // 32
    assert steps > 1
    found = rates(classes, 5, {"name": "cosine"}, batch_size=32)
    last_steps = [epoch * steps - 1 for epoch in range(1, 6)]
    wave = [0.005 * (1 + math.cos(math.pi * step / (5 * steps))) for step in last_steps]
    assert found == pytest.approx(wave)


def test_one_cycle_rises_for_the_warmup_and_falls_to_the_end(classes: Prepared) -> None:
    found = rates(classes, 15, {"name": "one_cycle", "warmup": 0.25})
    assert found.index(max(found)) == 3
    assert max(found) == pytest.approx(0.01)
    slopes = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert slopes[:3] == pytest.approx([(0.01 - 0.01 / 25) / 3] * 3)
    assert slopes[3:] == pytest.approx([-0.01 / 12] * 11, rel=1e-3)


@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 9])
def test_one_cycle_fits_any_number_of_steps(classes: Prepared, epochs: int, warmup: float) -> None:
    found = rates(classes, epochs, {"name": "one_cycle", "warmup": warmup})
    assert len(found) == epochs
    assert all(0 < rate <= 0.01 for rate in found)


def test_the_rate_drops_when_validation_stalls(classes: Prepared) -> None:
    plateau = {"name": "reduce_on_plateau", "factor": 0.5, "patience": 1, "min_lr": 3e-7}
    start = 1e-6  # too small a rate to change anything
    found = rates(classes, 8, plateau, optimizer={"name": "sgd", "lr": start})
    assert found == pytest.approx([start] * 3 + [start / 2] * 2 + [3e-7] * 3)


def test_the_rate_follows_validation_and_not_training(riddle: Prepared) -> None:
    plateau = {"name": "reduce_on_plateau", "factor": 0.5, "patience": 0}
    rows = run(riddle, epochs=8, schedule=plateau).rows

    def halved(losses: list[float]) -> list[float]:
        worse = [n > 0 and loss >= min(losses[:n]) for n, loss in enumerate(losses)]
        return [0.002 / 2 ** sum(worse[:n]) for n in range(len(losses))]

    assert [row.lr for row in rows] == pytest.approx(halved([row.val_loss for row in rows]))
    assert rows[-1].lr != pytest.approx(halved([row.train_loss for row in rows])[-1])


def test_the_rate_stays_while_validation_gets_better(classes: Prepared) -> None:
    plateau = {"name": "reduce_on_plateau", "factor": 0.5, "patience": 0}
    rows = run(classes, epochs=4, schedule=plateau, optimizer={"name": "adam", "lr": 0.0005}).rows
    losses = [row.val_loss for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert {row.lr for row in rows} == {0.0005}


def test_label_smoothing_is_for_training_alone(classes: Prepared) -> None:
    trained = run(classes, epochs=8, label_smoothing=0.5)
    floor = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))  # of two classes, by smoothed targets
    assert all(row.train_loss >= floor for row in trained.rows)
    loss, score = validate(trained, classes)
    assert score == 1.0
    best = max(trained.rows, key=lambda row: (row.val_score, -row.val_loss))
    assert best.val_loss == pytest.approx(loss, rel=1e-4)


def test_a_loss_that_is_no_number_names_the_step_and_the_rate(classes: Prepared) -> None:
    with pytest.raises(UserError, match=r"step 2 of 2 in epoch 1 \(train\).*rate 1e\+30.*\.lr"):
        run(classes, optimizer={"name": "sgd", "lr": 1e30})


def test_a_crop_that_is_wider_than_the_image_is_refused(classes: Prepared) -> None:
    assert len(run(classes, epochs=1, augment={"crop": 11}).rows) == 1
    with pytest.raises(UserError, match=r"augment\.crop: 12 .* 12x12"):
        run(classes, epochs=1, augment={"crop": 12})


def test_weight_decay_is_for_weights_alone() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    nn.init.ones_(module.get_parameter("0.bias"))
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimizer = optim.optimizer(module, SGD(name="sgd", lr=0.1, weight_decay=0.5), {})
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in module.named_parameters():
        shrunk = before[name].ndim >= 2
        assert torch.equal(parameter, before[name]) != shrunk, name


def test_frozen_parameters_are_not_given_to_the_optimizer() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[0].requires_grad_(False)
    optimizer = optim.optimizer(module, SGD(name="sgd", lr=0.1), {})
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in module[1].parameters()}


def test_the_input_is_normalised_by_the_training_split(classes: Prepared) -> None:
    manifest = classes.manifest
    expects = run(classes, epochs=0).description.input
    assert expects == Input(3, 12, 12, manifest.mean, manifest.std)
    x = expects(torch.from_numpy(classes.images("train")).permute(0, 3, 1, 2))
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_a_subset_has_so_many_labels_of_each_class(tmp_path: Path) -> None:
    prepared = bright_or_dark(tmp_path)
    targets = prepared.targets("train")
    subset = prepared.training_subset(7, seed=0)
    assert np.bincount(targets[subset]).tolist() == [7, 7]
    assert (np.diff(subset) > 0).all()
    assert np.array_equal(subset, prepared.training_subset(7, seed=0))
    assert not np.array_equal(subset, prepared.training_subset(7, seed=1))
    assert np.array_equal(prepared.training_subset("all", seed=1), np.arange(len(targets)))

    few = np.ones_like(targets)
    few[[4, 20, 31]] = 0
    np.save(tmp_path / "train_targets.npy", few)
    subset = prepared.training_subset(7, seed=0)
    assert np.bincount(few[subset]).tolist() == [3, 7]
    assert {4, 20, 31} <= set(subset.tolist())


def test_a_subset_is_all_that_training_sees(classes: Prepared) -> None:
    model = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 1, "batch_size": 100, "optimizer": ADAM}
    )
    subset, watcher = classes.training_subset(5, 1), Recorder()
    some = train(model, classes, subset, 1, CPU, watcher)
    everything = train(model, classes, np.arange(len(classes.targets("train"))), 1, CPU, Recorder())
    assert watcher.steps == [10]
    assert state(some) != state(everything)
    assert len(some.val) == len(everything.val) == classes.manifest.counts["val"]


def test_an_epoch_may_go_over_few_images_several_times(classes: Prepared) -> None:
    trained = run(classes, epochs=2, min_steps=40, batch_size=8)
    assert [row.epoch for row in trained.rows] == [1, 2]
    assert trained.rows[-1].val_score == 1.0


def test_few_labels_still_get_the_steps_they_need() -> None:
    recipe = Scratch.model_validate(
        {"net": "simple_cnn", "epochs": 4, "min_steps": 10, "batch_size": 8, "optimizer": ADAM}
    )
    assert fit.Length.of(recipe, 80) == fit.Length(epochs=4, passes=1, steps=10, batch_size=8)
    assert fit.Length.of(recipe, 24) == fit.Length(epochs=4, passes=1, steps=3, batch_size=8)
    assert fit.Length.of(recipe, 20) == fit.Length(epochs=4, passes=2, steps=3, batch_size=8)
    assert fit.Length.of(recipe, 5) == fit.Length(epochs=4, passes=3, steps=3, batch_size=5)
    nothing = recipe.model_copy(update={"epochs": 0})
    assert fit.Length.of(nothing, 5).epochs == 0
