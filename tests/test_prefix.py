"""Networks cut in two: the same outputs, gradients and steps as the whole, with nothing drawn,
counted or trained in the first part."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from vision.backbone import train_last
from vision.network import Architecture, Input, Network, build_body
from vision.prefix import Suffix, agrees, cut

SIZE = 32


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def images(count: int = 4) -> Tensor:
    """The same ones at every call."""
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def network(body: nn.Module, dropout: float = 0.0) -> Network:
    """A network whose BatchNorm statistics are of images."""
    expects = Input(3, SIZE, SIZE, [0.5] * 3, [0.25] * 3)
    net = Network(body, expects, outputs=5, dropout=dropout)
    with torch.no_grad():
        net.train()(images(8))
    return net


def partly_frozen(name: str, share: float, batchnorm: str = "trained", **args: Any) -> Network:
    expects = Input(3, SIZE, SIZE, [0.5] * 3, [0.25] * 3)
    net = network(build_body(Architecture(name, args), expects), dropout=0.1)
    train_last(net.body, share, batchnorm)
    return net


def parts_of(net: Network) -> tuple[nn.Module, Suffix]:
    parts = cut(net)
    assert parts is not None
    return parts


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


CASES: dict[str, Callable[[], Network]] = {
    "resnet20, its head": lambda: partly_frozen("resnet20", 0),
    "resnet20, 1 block": lambda: partly_frozen("resnet20", 0.1),
    "resnet20, 5 blocks": lambda: partly_frozen("resnet20", 0.5),
    "resnet20, all blocks": lambda: partly_frozen("resnet20", 0.9),
    "resnet20, frozen BatchNorm": lambda: partly_frozen("resnet20", 0.5, "frozen"),
    "mobilenetv1": lambda: partly_frozen("timm/mobilenetv1_100", 0.2, pad_type="same"),
    "mobilenetv3": lambda: partly_frozen("timm/mobilenetv3_small_050", 0.5),
    "resnet18": lambda: partly_frozen("timm/resnet18", 0.5),
    "resnet18, frozen BatchNorm": lambda: partly_frozen("timm/resnet18", 0.5, "frozen"),
    # dropout in the code of the body's forward, and stochastic depth in trained and frozen blocks
    "efficientnet, dropout": lambda: partly_frozen(
        "timm/efficientnet_b0", 0.5, drop_rate=0.3, drop_path_rate=0.5
    ),
    "efficientnet, dropout, its head": lambda: partly_frozen(
        "timm/efficientnet_b0", 0, drop_rate=0.3
    ),
    "vision transformer": lambda: partly_frozen("timm/test_vit3", 0.5, img_size=SIZE),
}


@pytest.mark.parametrize("case", CASES)
def test_the_two_parts_are_the_network_in_evaluation_and_in_training(case: str) -> None:
    net = CASES[case]()
    whole = deepcopy(net)
    prefix, suffix = parts_of(net)
    x = images()
    with torch.no_grad():
        assert torch.equal(suffix(prefix(x)), whole.eval()(x))
    assert agrees(net, prefix, suffix.train(), x)

    before = state(net)
    whole.train()
    suffix.train()
    for module, run in ((whole, whole), (suffix, lambda x: suffix(prefix(x)))):
        optimizer = torch.optim.SGD(trained(module).values(), lr=0.1, momentum=0.9)
        for step in range(2):
            torch.manual_seed(step)
            optimizer.zero_grad()
            F.cross_entropy(run(x), torch.arange(4)).backward()
            optimizer.step()
    for (name, one), (_, other) in zip(
        whole.named_parameters(), net.named_parameters(), strict=True
    ):
        assert (one.grad is None) == (other.grad is None) == (not other.requires_grad), name
        assert one.grad is None or torch.equal(one.grad, other.grad), name  # type: ignore[arg-type]
    after = state(net)
    assert all(torch.equal(after[name], tensor) for name, tensor in whole.state_dict().items())

    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert changed & set(trained(net))
    assert not changed & set(prefix.state_dict())


@pytest.mark.parametrize("case", CASES)
def test_all_that_is_frozen_comes_first_and_the_rest_is_the_network_s_own(case: str) -> None:
    net = CASES[case]()
    prefix, suffix = parts_of(net)
    named = dict(net.named_parameters())
    for part in (prefix, suffix):
        assert all(named[name] is p for name, p in part.named_parameters())
    assert list(trained(suffix)) == list(trained(net))
    assert trained(prefix) == {}
    if "frozen BatchNorm" not in case:
        assert set(dict(prefix.named_parameters())) == set(named) - set(trained(net))
    buffers = dict(net.named_buffers())
    assert all(buffers[name] is tensor for name, tensor in suffix.named_buffers())


def test_a_frozen_body_is_the_prefix_and_the_head_the_suffix() -> None:
    net = partly_frozen("timm/test_vit", 0, img_size=SIZE)  # a network that cannot be traced
    prefix, suffix = parts_of(net)
    assert prefix.get_submodule("body") is net.body
    assert suffix.get_submodule("head") is net.head
    with torch.no_grad():
        (features,) = prefix(images())
        assert torch.equal(features, net.body(images()))


def test_training_mode_is_the_network_s() -> None:
    net = partly_frozen("resnet20", 0.5, "frozen")
    _, suffix = parts_of(net)
    assert suffix.get_submodule("body.9") is net.body.get_submodule("9")
    for mode in (True, False):
        suffix.train(mode)
        modes = {name: module.training for name, module in net.named_modules()}
        net.train(mode)
        assert modes == {name: module.training for name, module in net.named_modules()}
    assert not suffix.training


def test_what_is_random_in_training_draws_anew() -> None:
    net = partly_frozen("timm/mobilenetv3_small_050", 0.5, drop_path_rate=0.5)
    net.head[0] = nn.Identity()
    prefix, suffix = parts_of(net)
    kept = prefix(images())
    suffix.eval()
    assert torch.equal(suffix(kept), suffix(kept))
    suffix.train()
    assert len({suffix(kept).sum().item() for _ in range(8)}) > 4


def test_a_block_is_cut_inside_where_it_is_frozen_in_part() -> None:
    net = partly_frozen("resnet20", 0.2)
    block = net.body.get_submodule("8")
    block.requires_grad_(True)
    block.get_submodule("conv1").requires_grad_(False)
    block.get_submodule("bn1").requires_grad_(False)
    prefix, suffix = parts_of(net)
    assert "body.8.conv1.weight" in dict(prefix.named_parameters())
    shapes = [tuple(tensor.shape) for tensor in prefix(images())]
    assert sorted(shapes) == [(4, 64, 8, 8), (4, 64, 8, 8)]  # the shortcut's, and the branch's
    assert agrees(net, prefix, suffix, images())


class Line(nn.Module):
    """Two convolutions with something between them, then a third and the mean."""

    def __init__(self, between: Callable[[Tensor, bool], Tensor] | nn.Module) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        x = (
            self.between(x)
            if isinstance(self.between, nn.Module)
            else self.between(x, self.training)
        )
        return self.three(self.two(x)).mean((2, 3))


def frozen_but_the_third(body: Line) -> Network:
    net = network(body)
    body.one.requires_grad_(False)
    body.two.requires_grad_(False)
    return net


def line(between: Callable[[Tensor, bool], Tensor] | nn.Module) -> Network:
    return frozen_but_the_third(Line(between))


@pytest.mark.parametrize(
    "between",
    [
        nn.Dropout(0.5),
        DropPath(0.5),
        nn.RReLU(),
        nn.BatchNorm2d(3, affine=False),
        nn.Sequential(nn.ReLU(), nn.Dropout2d(0.5)),
        lambda x, training: F.dropout(x, 0.5, training),
        lambda x, training: x + torch.randn_like(x) if training else x,
    ],
)
def test_what_acts_differently_in_training_is_not_in_the_prefix(between: Any) -> None:
    net = line(between)
    whole = deepcopy(net)
    prefix, suffix = parts_of(net)
    assert {name.split(".")[1] for name, _ in prefix.named_parameters()} == {"one"}
    x = images()
    for mode in (True, False):
        whole.train(mode)
        suffix.train(mode)
        kept = prefix(x)
        torch.manual_seed(3)
        expected = whole(x)
        torch.manual_seed(3)
        assert torch.equal(suffix(kept), expected)
    assert all(torch.equal(net.state_dict()[name], v) for name, v in whole.state_dict().items())
    if "between.running_mean" not in whole.body.state_dict():
        assert not torch.equal(suffix.train()(prefix(x)), suffix(prefix(x)))


@pytest.mark.parametrize("between", [nn.Dropout(0.0), nn.ReLU(inplace=True), nn.AvgPool2d(2)])
def test_what_acts_alike_in_training_is_in_the_prefix(between: nn.Module) -> None:
    prefix, suffix = parts_of(line(between))
    assert {name.split(".")[1] for name, _ in prefix.named_parameters()} == {"one", "two"}
    assert {name.split(".")[1] for name, _ in suffix.named_parameters()} == {"three", "1"}


def test_an_unsettled_network_is_left_as_it_was() -> None:
    net = line(nn.BatchNorm2d(3, affine=False))
    before, draws = state(net), torch.get_rng_state()
    parts_of(net)
    assert all(torch.equal(v, before[name]) for name, v in state(net).items())
    assert list(state(net)) == list(before)
    assert torch.equal(torch.get_rng_state(), draws)


def test_nothing_is_cut_off_where_nothing_frozen_comes_first() -> None:
    assert cut(partly_frozen("resnet20", 1)) is None
    assert cut(partly_frozen("resnet20", 1, "frozen")) is None
    net = partly_frozen("resnet20", 0.5)
    net.body.get_submodule("0.0").requires_grad_(True)
    assert cut(net) is None


@pytest.mark.parametrize(
    "between",
    [
        lambda x, training: x if x.mean() > 0 else -x,
        lambda x, training: -x if training and torch.rand(1) < 0.5 else x,
    ],
)
def test_a_network_that_cannot_be_traced_is_not_cut(between: Any) -> None:
    net = line(between)
    assert cut(net.train()) is None
    assert not net.training


class Scaled(Line):
    """Has a parameter that it uses itself, before all others."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())
        self.scale = nn.Parameter(torch.rand(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.scale)


def test_parameters_that_belong_to_no_layer() -> None:
    net = network(Scaled())
    scale = dict(net.named_parameters())["body.scale"].requires_grad_(False)
    prefix, suffix = parts_of(net)
    assert list(prefix.parameters()) == [scale]
    assert agrees(net, prefix, suffix, images())

    net.body.requires_grad_(False)
    scale.requires_grad_(True)
    assert cut(net) is None


class Counting(Line):
    """Counts the batches that it is trained on, and adds their number."""

    batches: Tensor

    def __init__(self) -> None:
        super().__init__(self.count)
        self.register_buffer("batches", torch.zeros(()))

    def count(self, x: Tensor, training: bool) -> Tensor:
        if training:
            self.batches.add_(1)
        return x + self.batches


def test_what_counts_in_training_goes_on_counting() -> None:
    net = frozen_but_the_third(Counting())
    prefix, suffix = parts_of(net)
    batches = dict(net.named_buffers())["body.batches"]
    assert batches == 1
    kept = prefix(images())
    suffix.train()(kept)
    assert batches == 2
    assert torch.equal(suffix.eval()(kept), net.eval()(images()))


class Branched(Line):
    """Takes both a map and what is made of it beyond the cut."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x))
        y = x.abs()
        return (self.three(x) + y).mean((2, 3))


def test_no_more_crosses_than_has_to() -> None:
    net = frozen_but_the_third(Branched(nn.Identity()))
    prefix, suffix = parts_of(net)
    assert len(prefix(images())) == 1
    assert agrees(net, prefix, suffix, images())


class Sizes(Line):
    """Takes a size from before the cut for what comes after it."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[0]
        return self.three(self.two(self.one(x))).reshape(count, -1)


class Turned(Line):
    """Has the images last where it is cut."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x)).permute(3, 1, 2, 0)
        return self.three(x).permute(3, 1, 2, 0).mean((2, 3))


@pytest.mark.parametrize("count", [2, SIZE])
@pytest.mark.parametrize("kind", [Sizes, Turned])
def test_a_cut_that_images_do_not_cross_one_by_one_is_told(kind: type[Line], count: int) -> None:
    net = frozen_but_the_third(kind(nn.Identity()))
    assert not agrees(net, *parts_of(net), images(count))


def test_a_copy_of_the_suffix_is_a_network_of_its_own() -> None:
    net = CASES["efficientnet, dropout"]()
    prefix, suffix = parts_of(net)
    copied = deepcopy(suffix)
    kept = prefix(images())
    expected = copied.eval()(kept)
    for p in trained(suffix).values():
        p.data.zero_()
    suffix.train()
    assert torch.equal(copied(kept), expected)
    for p in trained(copied).values():
        p.data.zero_()
    assert not torch.equal(copied(kept), expected)
