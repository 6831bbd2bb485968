"""What a recipe may ask for beyond the plain loop: mixing, averaging, clipping, parts of a batch,
rates by layer, a stem that stops, Muon."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.test_fit import CPU, Recorder, run, state
from vision import backbone, optim, task
from vision.errors import UserError
from vision.nets.speednet import Whitening
from vision.network import Architecture, Input, Network, build_body
from vision.params import SGD, Finetune, Muon, Transfer, check
from vision.prepared import Prepared
from vision.train import Trained, train

MUON: dict[str, Any] = {
    "name": "muon",
    "lr": 0.1,
    "others": {"lr": 1.0, "bias_lr": 10.0, "weight_decay": 0.004},
}


def largest_difference(one: Trained, other: Trained) -> float:
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def test_accumulating_takes_the_same_steps(classes: Prepared) -> None:
    sgd = {"name": "sgd", "lr": 0.05}
    whole = run(classes, optimizer=sgd)
    parts = run(classes, optimizer=sgd, accumulate=4)
    other = run(classes, optimizer=sgd, batch_size=8)
    assert largest_difference(whole, parts) < 1e-5
    assert largest_difference(whole, other) > 1e-3
    assert [row.train_score for row in parts.rows] == [row.train_score for row in whole.rows]


def test_accumulating_keeps_the_weight_of_a_smaller_last_part(classes: Prepared) -> None:
    sgd = {"name": "sgd", "lr": 0.05}
    whole, parts = run(classes, optimizer=sgd), run(classes, optimizer=sgd, accumulate=5)
    assert largest_difference(whole, parts) < 1e-5


def test_no_part_of_a_batch_is_a_single_image(classes: Prepared) -> None:
    # its last layers see maps of one pixel, where BatchNorm wants two images
    run(classes, net="timm/resnet10t", epochs=1, batch_size=9, accumulate=8)
    with pytest.raises(UserError, match="batch_size 1 leaves BatchNorm a single value"):
        run(classes, net="timm/resnet10t", epochs=1, batch_size=1)


def test_more_parts_than_images_in_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match=r"models\.net: accumulate 33 parts.*batch of 32"):
        check(
            {
                "study": "x",
                "data": {"source": "digits", "path": "x"},
                "seeds": [0],
                "labels_per_class": ["all"],
                "scratch": ["net"],
                "transfer": [],
                "models": {
                    "net": {
                        "net": "simple_cnn",
                        "epochs": 1,
                        "batch_size": 32,
                        "accumulate": 33,
                        "optimizer": {"name": "sgd", "lr": 0.1},
                    }
                },
                "evaluation": {},
                "runtime": {},
            }
        )


def test_clipping_bounds_the_step(classes: Prepared) -> None:
    def moved(**values: Any) -> float:
        sgd = {"name": "sgd", "lr": 1.0, "momentum": 0.0}
        start = run(classes, epochs=0)
        end = run(classes, epochs=1, batch_size=96, optimizer=sgd, **values)
        pairs = zip(start.network.parameters(), end.network.parameters(), strict=True)
        return sum((a - b).square().sum().item() for a, b in pairs) ** 0.5

    assert moved() > 0.02
    assert moved(clip=0.01) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("net", ["simple_cnn", "resnet20"])
def test_the_average_of_the_weights_is_what_is_validated_and_kept(
    classes: Prepared, net: str
) -> None:
    values: dict[str, Any] = {"net": net, "epochs": 4, "ema": 0.9}
    averaged, again, last = run(classes, **values), run(classes, **values), run(classes, epochs=4)
    assert state(averaged) == state(again)
    assert state(averaged) != state(last)
    start = run(classes, net=net, epochs=0)
    # an average lies between the start and the end, so its first epochs are behind
    plain = run(classes, net=net, epochs=4)
    assert averaged.rows[0].train_loss == plain.rows[0].train_loss
    assert averaged.rows[0].val_loss != plain.rows[0].val_loss
    assert largest_difference(averaged, start) < largest_difference(plain, start)


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_images_are_learned_from(classes: Prepared, mixing: dict[str, float]) -> None:
    trained = run(classes, epochs=6, augment=mixing)
    assert max(row.val_score for row in trained.rows) == 1.0
    plain = run(classes, epochs=6)
    assert trained.rows[-1].train_loss > 2 * plain.rows[-1].train_loss
    assert state(trained) == state(run(classes, epochs=6, augment=mixing))


def test_mixed_targets_are_mixed_as_the_images_are(numbers: Prepared) -> None:
    targets, share = torch.tensor([0, 2, 1]), torch.tensor([0.25, 0.5, 0.0])
    expected = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert torch.equal(task.Task("classification", 3).mixed(targets, share), expected)
    ages = torch.tensor([10.0, 20.0, 40.0])
    mixed = task.Task("regression", 1).mixed(ages, share)
    assert mixed.tolist() == [17.5, 15.0, 40.0]
    trained = run(numbers, epochs=8, augment={"mixup": 0.4})
    assert trained.rows[-1].val_score < 0.5 * trained.rows[0].val_score


def test_the_stem_stops_after_its_epochs(classes: Prepared) -> None:
    early, late = (run(classes, epochs=n, stem_epochs=1, early_stopping=None) for n in (1, 3))
    assert early.description.trainable_parameters == early.description.parameters
    assert late.description.trainable_parameters == late.description.parameters

    def stem(trained: Trained) -> Tensor:
        return next(trained.network.body.children()).get_parameter("0.weight")

    def head(trained: Trained) -> Tensor:
        return trained.network.head.get_parameter("1.weight")

    assert torch.equal(stem(early), stem(late))
    assert not torch.equal(head(early), head(late))
    assert not torch.equal(stem(early), stem(run(classes, epochs=3)))


def test_the_stem_is_the_first_layer_that_learns(classes: Prepared) -> None:
    """The first module of a network that looks at brightness alone only mixes the channels."""
    grey: dict[str, Any] = {"net": "cnn", "args": {"grey": True}, "epochs": 3}
    free, held = run(classes, **grey), run(classes, **grey, stem_epochs=1)
    assert held.description.trainable_parameters == free.description.parameters
    first = run(classes, **{**grey, "epochs": 1})

    def stem(trained: Trained) -> Tensor:
        return next(p for p in trained.network.body.parameters())

    assert torch.equal(stem(held), stem(first))
    assert not torch.equal(stem(held), stem(free))


def test_rates_fall_layer_by_layer_away_from_the_head() -> None:
    module = nn.Sequential()
    module.body = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module.head = nn.Linear(2, 2)
    rates = backbone.layer_rates(module.body, 0.5)
    optimizer = optim.optimizer(module, SGD(name="sgd", lr=0.8), rates)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for layer, rate in ((module.head, 0.8), (module.body[1], 0.4), (module.body[0], 0.2)):
        assert [found[id(p)] for p in layer.parameters()] == [rate, rate]
    assert optim.learning_rate(optimizer) == 0.8
    assert backbone.layer_rates(module.body, 1.0) == {}


def test_layer_decay_holds_the_early_layers_back(classes: Prepared) -> None:
    def moved(decay: float) -> tuple[float, float]:
        model = Transfer(
            backbone="backbones/resnet20_cifar10_jpeg",
            finetune=Finetune.model_validate(
                {
                    "epochs": 1,
                    "batch_size": 32,
                    "layer_decay": decay,
                    "optimizer": {"name": "sgd", "lr": 0.01},
                    "schedule": {"name": "one_cycle"},
                }
            ),
        )
        subset = classes.training_subset("all", 0)
        assert model.finetune
        resting = model.finetune.model_copy(update={"epochs": 0})
        still = model.model_copy(update={"finetune": resting})
        start, end = (train(m, classes, subset, 0, CPU, Recorder()) for m in (still, model))
        pairs = zip(start.network.body.parameters(), end.network.body.parameters(), strict=True)
        steps = [(a - b).abs().max().item() for a, b in pairs]
        return steps[0], steps[-2]

    first, last = moved(1.0)
    held, free = moved(0.5)
    assert held < first / 50
    assert free > last / 4


def test_muon_moves_matrices_along_orthogonal_ones(classes: Prepared) -> None:
    torch.manual_seed(0)
    expects = Input(3, 12, 12, [0.5] * 3, [0.2] * 3)
    network = Network(build_body(Architecture("speednet"), expects), expects, 2, 0.0)
    optimizer = optim.optimizer(network, Muon.model_validate(MUON), {})
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn_like(parameter)
    before = copy.deepcopy(dict(network.named_parameters()))
    optimizer.step()
    for name, parameter in network.named_parameters():
        was = before[name].detach()
        if not parameter.requires_grad:
            assert torch.equal(parameter, was), name
        elif name.startswith("body") and parameter.ndim == 4:
            scaled = was * (len(was) ** 0.5 / was.norm())
            step = ((scaled - parameter.detach()) / MUON["lr"]).flatten(1)
            values = torch.linalg.svdvals(step)
            assert 0.3 < values.min() < values.max() < 1.4, name
        else:
            assert not torch.equal(parameter, was), name


def test_muon_trains_a_matrix_that_starts_at_zero() -> None:
    """As attention's biases do in some networks; its norm was divided by."""
    module = nn.Sequential()
    module.body, module.head = nn.Linear(3, 3), nn.Linear(3, 2)
    nn.init.zeros_(module.body.weight)
    optimizer = optim.optimizer(module, Muon.model_validate(MUON), {})
    module.body.weight.grad = torch.eye(3)
    optimizer.step()
    moved = module.body.weight.detach() / -MUON["lr"]
    assert torch.linalg.svdvals(moved).min() > 0.3
    assert torch.equal(moved, moved.diag().diag())


def test_muon_is_continued_where_it_stopped() -> None:
    torch.manual_seed(0)
    module = nn.Sequential()
    module.body, module.head = nn.Linear(3, 3), nn.Linear(3, 2)
    copied = copy.deepcopy(module)
    choice = Muon.model_validate(MUON)
    first = optim.optimizer(module, choice, {})

    def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for i, parameter in enumerate(module.parameters()):
            parameter.grad = torch.full_like(parameter, 0.1 * (i + 1))
        optimizer.step()

    step(module, first)
    copied.load_state_dict(module.state_dict())
    second = optim.optimizer(copied, choice, {})
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step(module, first)
    step(copied, second)
    for one, other in zip(module.parameters(), copied.parameters(), strict=True):
        assert torch.equal(one, other)


def test_speednet_learns_with_muon(classes: Prepared) -> None:
    trained = run(
        classes,
        net="speednet",
        epochs=3,
        optimizer=MUON,
        schedule={"name": "linear"},
        label_smoothing=0.2,
        stem_epochs=2,
        augment={"flip": "alternating", "crop": 1},
    )
    assert trained.rows[-1].val_score == 1.0
    rates = [row.lr for row in trained.rows]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.2 * MUON["lr"]


def test_the_whitening_layer_makes_patches_of_the_training_images_white(classes: Prepared) -> None:
    trained = run(classes, net="speednet", epochs=0)
    layer = next(trained.network.body.children())
    assert isinstance(layer, Whitening)
    pixels = torch.from_numpy(classes.images("train")).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = nn.functional.conv2d(trained.description.input(pixels), layer.weight)
    flat = found[:, :12].permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(flat @ flat.T / flat.shape[1], torch.eye(12), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            UserError,
            "accumulate 2: set accumulate: 4",
        ),
        (RuntimeError("can't allocate memory: 2 bytes"), UserError, "batch_size 32, accumulate 2"),
        (
            RuntimeError("max_pool_backward does not have a deterministic implementation, but"),
            UserError,
            r"max_pool_backward.*runtime\.determinism: false",
        ),
        (RuntimeError("shapes do not match"), RuntimeError, "^shapes do not match$"),
    ],
    ids=["device", "processor", "kernel", "anything else"],
)
def test_what_torch_says_becomes_what_to_do(
    classes: Prepared,
    monkeypatch: pytest.MonkeyPatch,
    raised: RuntimeError,
    expected: type[Exception],
    message: str,
) -> None:
    def fail(*args: Any) -> Tensor:
        raise raised

    monkeypatch.setattr(task.Task, "training_loss", fail)
    with pytest.raises(expected, match=message):
        run(classes, accumulate=2)
