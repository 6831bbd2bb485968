"""The network of the fastest known trainings on CIFAR-10 (arXiv 2404.00498)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vision.nets.size import require

WIDTHS = (64, 256, 256)
KERNEL = 2
"""Side of the whitened patches in pixels."""


def speednet(channels: int, height: int, width: int) -> nn.Sequential:
    """Whitened 2x2 patches, then three groups of two 3x3 convolutions (64, 256, 256 filters) with
    GELU, each halving the image, and global max pooling: 1,972,802 parameters with ten outputs at
    three channels, any size.

    Meant for `optimizer: muon`. The features are divided so that the head, as torch initialises
    it, starts with the paper's outputs.

    Raises:
        UserError: the images are smaller than 9x9.
    """
    require("speednet", 9, height, width)
    inputs = 2 * channels * KERNEL**2
    groups = []
    for filters in WIDTHS:
        groups.append(_group(inputs, filters))
        inputs = filters
    return nn.Sequential(
        Whitening(channels), nn.GELU(), *groups, GlobalMaxPool(), Scale((inputs / 3) ** -0.5)
    )


class Whitening(nn.Conv2d):
    """A convolution whose fixed filters turn patches of the training images into uncorrelated
    values of unit variance, each with both signs; its bias is trained."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels * KERNEL**2, KERNEL)
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take the filters from batches of normalised images, [B, C, H, W] each."""
        size = self.in_channels * KERNEL**2
        products, count = torch.zeros(size, size, device=self.weight.device), 0
        for images in batches:
            patches = images.unfold(2, KERNEL, 1).unfold(3, KERNEL, 1).permute(0, 2, 3, 1, 4, 5)
            flat = patches.reshape(-1, size).float()
            products += flat.T @ flat
            count += len(flat)
        variances, directions = torch.linalg.eigh(products / count)
        whitening = directions.T / (variances + 5e-4).sqrt()[:, None]
        filters = torch.cat([whitening, -whitening])
        self.weight.copy_(filters.view(self.weight.shape))


class GlobalMaxPool(nn.Module):
    """The largest value of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


class Scale(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def _group(inputs: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(inputs, filters),
        nn.MaxPool2d(2),
        _norm(filters),
        nn.GELU(),
        _convolution(filters, filters),
        _norm(filters),
        nn.GELU(),
    )


def _convolution(inputs: int, filters: int) -> nn.Conv2d:
    """Its first filters pass the inputs through (Dirac initialisation)."""
    convolution = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:inputs])
    return convolution


def _norm(filters: int) -> nn.BatchNorm2d:
    """Batch norm without a trained scale, whose statistics follow quickly."""
    norm = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
