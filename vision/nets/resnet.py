"""Residual networks for small images (He et al. 2015, arXiv 1512.03385, section 4.2)."""

import torch.nn.functional as F
from torch import Tensor, nn


def resnet20(channels: int, height: int, width: int) -> nn.Sequential:
    """Three stages of three residual blocks (16, 32, 64 filters) with parameter-free shortcuts and
    global average pooling: 269,722 parameters with ten outputs at three channels, any size."""
    blocks: list[nn.Module] = [
        nn.Sequential(_convolution(channels, 16, 1), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    ]
    for inputs, filters in ((16, 16), (16, 32), (32, 64)):
        blocks.append(Block(inputs, filters, stride=filters // inputs))
        blocks += [Block(filters, filters, stride=1) for _ in range(2)]
    blocks.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    body = nn.Sequential(*blocks)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut that subsamples and pads with zero channels
    (the paper's option A)."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, filters - inputs
        self.conv1 = _convolution(inputs, filters, stride)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = _convolution(filters, filters, 1)
        self.bn2 = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.padding:
            half = self.padding // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(out + x, inplace=True)


def _convolution(inputs: int, filters: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, filters, 3, stride=stride, padding=1, bias=False)
