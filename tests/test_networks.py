"""Networks: sizes, gradients, saving."""

import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vision import saved
from vision.errors import UserError
from vision.nets import BODIES
from vision.network import Architecture, Input, Network, build_body, count_parameters
from vision.params import ARGUMENTS, NETS


def network(
    name: str, channels: int = 3, size: int = 32, outputs: int = 10, **args: Any
) -> Network:
    expects = Input(channels, size, size, [0.5] * channels, [0.25] * channels)
    stem = args.pop("stem", "large")
    if name in ARGUMENTS:
        args = ARGUMENTS[name].model_validate(args).model_dump()
    body = build_body(Architecture(name, args, stem), expects)
    return Network(body, expects, outputs, dropout=0.0)


def test_params_know_every_network() -> None:
    assert set(NETS) == set(BODIES)


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


VARIANTS: list[dict[str, Any]] = [
    {"depth": 1},
    {"depth": 4},
    {"filters": 8},
    {"kernel": 5},
    {"kernel": "mixed"},
    {"activation": "leaky_relu"},
    {"activation": "elu"},
    {"activation": "gelu"},
    {"skip": True},
    {"skip": True, "kernel": "mixed", "downsample": "strides"},
    {"downsample": "strides"},
    {"batchnorm": False},
    {"grey": True},
]


@pytest.mark.parametrize("args", VARIANTS, ids=str)
def test_every_change_of_the_cnn_is_another_network_that_learns(args: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net, plain = network("cnn", size=16, **args).train(), network("cnn", size=16)
    assert str(net.body) != str(plain.body)
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("size", [8, 30, 256])
@pytest.mark.parametrize("downsample", ["pooling", "strides"])
def test_a_cnn_of_any_depth_takes_images_of_any_size(size: int, downsample: str) -> None:
    net = network("cnn", 1, size, 2, depth=8, filters=4, downsample=downsample)
    assert net.eval()(torch.randn(2, 1, size, size)).shape == (2, 2)


def test_a_cnn_halves_the_image_down_to_two_pixels_and_doubles_its_filters() -> None:
    sizes = []
    net = network("cnn", size=32, depth=6, filters=32)
    for layer in list(net.body.children())[:-1]:
        layer.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    net.eval()(torch.randn(1, 3, 32, 32))
    assert sizes == [(32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 2, 2), (512, 2, 2)]


def test_a_grey_cnn_sees_brightness_alone() -> None:
    net = network("cnn", size=16, grey=True).eval()
    colours = torch.randn(2, 3, 16, 16)
    luma = (colours * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(net(colours), net(luma.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    "name",
    ["timm/densenet121", "timm/resnetv2_50", "timm/nf_resnet26", "timm/resnet26d", "timm/resnet18"],
)
def test_a_small_stem_has_no_pooling(name: str) -> None:
    net = network(name, 3, 32, stem="small")
    assert not any(isinstance(module, nn.MaxPool2d) for module in net.body.modules())


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/resnet34", "timm/efficientnet_b0"])
def test_a_small_stem_keeps_the_resolution(name: str) -> None:
    first = {}
    for stem in ("large", "small"):
        net = network(name, 1, 32, stem=stem).eval()
        config: Any = net.body.pretrained_cfg
        layers = dict(net.body.named_modules())
        layers[config["first_conv"]].register_forward_hook(
            lambda _, __, out, stem=stem: first.update({stem: out.shape[2]})
        )
        net(torch.randn(1, 1, 32, 32))
    assert first == {"large": 16, "small": 32}


def test_a_network_without_a_strided_first_layer_has_no_small_stem() -> None:
    with pytest.raises(UserError, match=r"timm/vgg11_bn has no strided.*stem: large"):
        network("timm/vgg11_bn", stem="small", mlp_ratio=0.01)


def test_a_network_that_timm_lacks_is_named() -> None:
    with pytest.raises(UserError, match=r"timm/resnet81: timm has no such network; did you mean"):
        network("timm/resnet81")


def test_input_normalises_repeats_grey_and_resizes() -> None:
    expects = Input(3, 8, 8, [0.5, 0.5, 0.0], [0.5, 0.25, 1.0])
    x = expects(torch.full((2, 1, 4, 4), 255, dtype=torch.uint8))
    assert x.shape == (2, 3, 8, 8)
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.tensor([1.0, 2.0, 1.0]))


def test_a_channel_that_never_varies_stays_finite() -> None:
    expects = Input(3, 4, 4, [0.5, 0.5, 0.0], [0.5, 0.25, 0.0])
    x = expects(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert x[:, 2].abs().max() == 0
    assert torch.isfinite(x).all()


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


def test_whoever_may_read_one_file_of_a_model_may_read_the_other(tmp_path: Path) -> None:
    net = network("resnet20")
    saved.save(tmp_path, net, describe(net, "resnet20"))
    modes = {(tmp_path / name).stat().st_mode for name in ("model.safetensors", "model.json")}
    assert len(modes) == 1


def test_no_room_for_a_model_is_the_systems_error(tmp_path: Path) -> None:
    """safetensors' own class of error was a traceback."""
    net = network("resnet20")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            saved.save(tmp_path, net, describe(net, "resnet20"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        saved.load(tmp_path)
