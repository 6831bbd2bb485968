"""Plain stacks of 3x3 convolutions (Simonyan and Zisserman, arXiv 1409.1556)."""

from torch import nn

from vision.nets.size import require


def vgg10(channels: int, height: int, width: int) -> nn.Sequential:
    """Three blocks of two 3x3 convolutions with batch norm (32, 64, 128 filters), each ending in
    2x2 max pooling, then 56 dense units: 402,770 parameters with ten outputs at 3x32x32.

    Raises:
        UserError: the images are smaller than 8x8.
    """
    require("vgg10", 8, height, width)
    return nn.Sequential(
        _block(channels, 32),
        _block(32, 64),
        _block(64, 128),
        nn.Sequential(nn.Flatten(), nn.Linear(128 * (height // 8) * (width // 8), 56), nn.ReLU()),
    )


def _block(inputs: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(inputs, filters), *_convolution(filters, filters), nn.MaxPool2d(2)
    )


def _convolution(inputs: int, filters: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
