"""The small convolutional network of every first lesson."""

from torch import nn

from vision.nets.size import require


def simple_cnn(channels: int, height: int, width: int) -> nn.Sequential:
    """Two unpadded 3x3 convolutions of 32 and 64 filters, each with ReLU and 2x2 max pooling, then
    128 dense units: 315,722 parameters with ten outputs at 3x32x32.

    Raises:
        UserError: the images are smaller than 10x10.
    """
    require("simple_cnn", 10, height, width)

    def pooled(side: int) -> int:
        return ((side - 2) // 2 - 2) // 2

    return nn.Sequential(
        _stage(channels, 32),
        _stage(32, 64),
        nn.Sequential(nn.Flatten(), nn.Linear(64 * pooled(height) * pooled(width), 128), nn.ReLU()),
    )


def _stage(inputs: int, filters: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, filters, 3), nn.ReLU(), nn.MaxPool2d(2))
