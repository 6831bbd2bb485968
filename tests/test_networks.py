"""Networks: sizes, gradients, saving."""

from pathlib import Path

import pytest
import torch

from vision import saved
from vision.errors import UserError
from vision.nets import BODIES
from vision.network import Architecture, Input, Network, build_body, count_parameters


def network(name: str, channels: int = 3, size: int = 32, outputs: int = 10) -> Network:
    expects = Input(channels, size, size, [0.5] * channels, [0.25] * channels)
    return Network(build_body(Architecture(name), expects), expects, outputs, dropout=0.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("simple_cnn", 315_722), ("vgg10", 402_770), ("resnet20", 269_722), ("speednet", 1_972_802)],
)
def test_parameter_counts_at_cifar_size(name: str, parameters: int) -> None:
    assert count_parameters(network(name)) == parameters


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("channels", "size", "outputs"), [(1, 28, 10), (3, 45, 100), (3, 12, 1)])
def test_other_sizes_follow_and_every_parameter_gets_a_gradient(
    name: str, channels: int, size: int, outputs: int
) -> None:
    net = network(name, channels, size, outputs).train()
    out = net(torch.randn(4, channels, size, size))
    assert out.shape == (4, outputs)
    out.square().sum().backward()
    trained = [p for p in net.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained)


@pytest.mark.parametrize("name", ["simple_cnn", "vgg10", "speednet"])
def test_too_small_images_say_what_to_set(name: str) -> None:
    with pytest.raises(UserError, match=r"data\.image_size"):
        network(name, size=6)


def test_input_normalises_repeats_grey_and_resizes() -> None:
    expects = Input(3, 8, 8, [0.5, 0.5, 0.0], [0.5, 0.25, 1.0])
    x = expects(torch.full((2, 1, 4, 4), 255, dtype=torch.uint8))
    assert x.shape == (2, 3, 8, 8)
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.tensor([1.0, 2.0, 1.0]))


def describe(net: Network, name: str) -> saved.Description:
    return saved.Description(
        kind="scratch",
        backbone=None,
        weights=None,
        architecture=Architecture(name),
        input=Input(3, 32, 32, [0.5] * 3, [0.25] * 3),
        dropout=0.0,
        task="classification",
        classes=[f"class {k}" for k in range(10)],
        unit="",
        target_mean=0.0,
        target_std=1.0,
        parameters=count_parameters(net),
        trainable_parameters=count_parameters(net, trainable=True),
    )


def test_a_saved_network_predicts_as_before(tmp_path: Path) -> None:
    net = network("resnet20").eval()
    description = describe(net, "resnet20")
    saved.save(tmp_path / "a", net, description)
    saved.save(tmp_path / "b", net, description)
    again, read = saved.load(tmp_path / "a")
    assert read == description
    x = torch.randn(3, 3, 32, 32)
    assert torch.equal(again(x), net(x))
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        saved.load(tmp_path)
