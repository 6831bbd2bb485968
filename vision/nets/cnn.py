"""One configurable stack of convolutions, for questions of architecture."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}
WIDEST = 512
"""Filters, at most, of a block."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


def cnn(
    channels: int,
    height: int,
    width: int,
    *,
    depth: int,
    filters: int,
    kernel: int | str,
    activation: str,
    skip: bool,
    downsample: str,
    batchnorm: bool,
    grey: bool,
) -> nn.Sequential:
    """`depth` blocks of one convolution each, then global average pooling; the arguments are those
    of `vision.params.CNN`, where they are explained. Takes images of any size.

    Each block has twice the filters of the one before, up to 512, and halves the image as long as
    its shorter side is at least four pixels.
    """
    layers: list[nn.Module] = []
    if grey and channels == 3:
        layers.append(Grey())
        channels = 1
    widths = [channels, *(min(filters * 2**i, WIDEST) for i in range(depth))]
    side = min(height, width)
    for inputs, outputs in itertools.pairwise(widths):
        halve = side >= 4
        layers.append(
            Block(inputs, outputs, kernel, activation, skip, downsample, batchnorm, halve)
        )
        side = side // 2 if halve else side
    body = nn.Sequential(*layers, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return body


class Block(nn.Module):
    """Convolution, batch norm and activation, beside a shortcut if there is to be one (a 1x1
    convolution, option B of arXiv 1512.03385), then halved by max pooling or by a stride."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | str,
        activation: str,
        skip: bool,
        downsample: str,
        batchnorm: bool,
        halve: bool,
    ) -> None:
        super().__init__()
        stride = 2 if halve and downsample == "strides" else 1
        bias = not batchnorm
        self.convolution = (
            _convolution(inputs, outputs, kernel, stride, bias)
            if isinstance(kernel, int)
            else Mixed(inputs, outputs, stride, bias)
        )
        self.norm = nn.BatchNorm2d(outputs) if batchnorm else nn.Identity()
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=bias) if skip else None
        self.activation = ACTIVATIONS[activation]()
        self.pool = nn.MaxPool2d(2) if halve and downsample == "pooling" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.convolution(x))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        pooled: Tensor = self.pool(self.activation(out))
        return pooled


class Mixed(nn.Module):
    """Half of the filters see 3x3 pixels, half 5x5 (mixed kernels, arXiv 1907.09595)."""

    def __init__(self, inputs: int, outputs: int, stride: int, bias: bool) -> None:
        super().__init__()
        few = outputs // 2
        self.small = _convolution(inputs, outputs - few, 3, stride, bias)
        self.large = _convolution(inputs, few, 5, stride, bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.small(x), self.large(x)], 1)


class Grey(nn.Module):
    """Brightness of colour images: [N, 3, H, W] to [N, 1, H, W]."""

    luma: Tensor

    def __init__(self) -> None:
        super().__init__()
        # on the device from the start: a step that copied it there would wait for it
        self.register_buffer("luma", torch.tensor(LUMA)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.luma).sum(1, keepdim=True)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)
