"""What a network says of images, in evaluation mode."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision.augment import Plan
from vision.examples import NONE, Batch, Examples, Images, batches
from vision.params import Augment
from vision.runtime import Compute

BATCH = 500
PIXELS = {"cpu": 2**19}
"""By device, the most pixels in a batch: what a processor's cache likes (MobileNetV1 at 96x96 on
two cores: 944 images/s at 56 a batch, 820 at 455)."""
OTHER_PIXELS = 2**22


def predict(
    module: nn.Module, examples: Examples, compute: Compute, views: str = "plain"
) -> Tensor:
    """Outputs for every example in order, float32 [N, K] on the device: of the images as they are,
    or the mean over `views` of them (see `params.Evaluation`)."""

    def mean(inputs: Batch) -> Tensor:
        if views == "plain":
            outputs: Tensor = module(inputs).float()
            return outputs
        assert isinstance(inputs, Tensor)
        return torch.stack([share * module(x).float() for share, x in _views(inputs, views)]).sum(0)

    module.eval()
    with torch.no_grad(), compute.autocast():
        return torch.cat([mean(inputs) for inputs in in_order(examples, compute)])


def in_order(
    examples: Examples, compute: Compute, plan: Plan | None = None, changes: Augment = NONE
) -> Iterator[Batch]:
    """All examples in batches of a size that suits the device, augmented as planned if there is a
    plan."""
    size = BATCH
    if isinstance(examples, Images):
        pixels = examples.expects.height * examples.expects.width
        most = PIXELS.get(compute.device.type, OTHER_PIXELS)
        size = max(1, min(size, most // pixels))
    indices = torch.arange(len(examples), device=examples.place).split(size)
    return batches(examples, list(indices), plan, changes)


def _views(x: Tensor, views: str) -> list[tuple[float, Tensor]]:
    """Views of the input [B, C, H, W] with their shares in the mean."""
    if views == "flip":
        return [(0.5, x), (0.5, _mirrored(x))]
    padded = F.pad(x, (1, 1, 1, 1), "reflect")
    moved = [padded[:, :, :-2, :-2], padded[:, :, 2:, 2:]]
    near = [(0.25, x), (0.25, _mirrored(x))]
    return near + [(0.125, view) for far in moved for view in (_dense(far), _mirrored(far))]


def _mirrored(x: Tensor) -> Tensor:
    return _dense(x.flip(-1))


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
