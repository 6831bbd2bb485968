"""The first layers of networks that were made for photographs, for small images."""

from typing import Any

from torch import nn

from vision.errors import UserError


def keep_resolution(net: str, body: nn.Module) -> None:
    """Let a network of timm see small images at their full size: its first convolution becomes a
    3x3 one of stride 1, and the pooling behind it goes (as in arXiv 1512.03385, section 4.2).

    Raises:
        UserError: the network has no such first layers.
    """
    config: Any = getattr(body, "pretrained_cfg", {})
    name = config.get("first_conv")
    first = body.get_submodule(name) if isinstance(name, str) else None
    if not isinstance(first, nn.Conv2d) or first.stride == (1, 1):
        raise UserError(
            f"net {net} has no strided convolution as its first layer: leave out stem, or set "
            "stem: large"
        )
    parent, _, attribute = name.rpartition(".")
    convolution = nn.Conv2d(
        first.in_channels, first.out_channels, 3, padding=1, bias=first.bias is not None
    )
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    setattr(body.get_submodule(parent), attribute, convolution)
    if isinstance(getattr(body, "maxpool", None), nn.Module):
        body.maxpool = nn.Identity()  # timm's ResNets: pooling, a convolution, or both with a blur
    else:
        _take_out_pooling(body, convolution)


def _take_out_pooling(body: nn.Module, first: nn.Module) -> None:
    """Of the layers between the first and the next strided one."""
    modules = iter(list(body.named_modules()))
    next(module for _, module in modules if module is first)
    for name, module in modules:
        if isinstance(module, nn.MaxPool2d):
            parent, _, attribute = name.rpartition(".")
            setattr(body.get_submodule(parent), attribute, nn.Identity())
            return
        if getattr(module, "stride", 1) not in (1, (1, 1)):
            return
