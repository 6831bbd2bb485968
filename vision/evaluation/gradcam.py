"""What in an image spoke for a prediction: Grad-CAM (Selvaraju et al. 2016, arXiv 1610.02391)."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vision.evaluation.mistakes import Mistakes, worst
from vision.examples import NONE, Images
from vision.network import Network


def of_mistakes(
    network: Network, images: Images, outputs: NDArray[np.float32], targets: NDArray[Any]
) -> Mistakes:
    """The test images that the network got most wrong, with the maps of what it answered.

    They are made on the CPU, which has gradients of every layer that are the same at every run.

    Args:
        images: the test split.
        outputs: logits [N, K], or values [N, 1] in the target's unit.
        targets: class indices [N], or numbers [N].
    """
    index = worst(outputs, targets)
    if not len(index):
        return Mistakes(index, np.zeros((0, 1, 1), np.uint8))
    inputs = images.batch(torch.from_numpy(index), None, NONE).cpu()
    answers = torch.from_numpy(outputs[index].argmax(axis=1))
    return Mistakes(index, maps(copy.deepcopy(network).cpu(), inputs, answers))


def maps(network: Network, inputs: Tensor, answers: Tensor) -> NDArray[np.uint8]:
    """Where the image raises an output, at the resolution of the last layer that has places.

    The network's last layer of maps is weighted, each map with the mean gradient of the output
    over its places; what is positive in the sum is shown, each image by itself.

    Args:
        network: a convolutional one; of a transformer, the maps are those of its first layer.
        inputs: as the network expects them, [B, C, H, W].
        answers: index of the output of each image, int64 [B]; 0 for a number.

    Returns:
        uint8 [B, h, w], 255 at the place that matters most; all 0 where nothing raises the output.
    """
    last = [inputs.detach().requires_grad_()]

    def keep(module: nn.Module, arguments: Any, output: Any) -> Any:
        """Have the gradient reach back to this output, as long as no later one has places."""
        if not isinstance(output, Tensor) or not _has_places(output, last[0]):
            return None
        last[0] = output.detach().requires_grad_()
        return last[0].clone()  # the next layer may work in place

    network.eval()
    hooks = [module.register_forward_hook(keep) for module in network.body.modules()]
    try:
        with torch.enable_grad():
            outputs = network(last[0])
            (gradient,) = torch.autograd.grad(outputs.gather(1, answers[:, None]).sum(), last)
    finally:
        for hook in hooks:
            hook.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    found = (weights * last[0].detach()).sum(1).relu()
    most = found.amax((1, 2), keepdim=True)
    shares = torch.where(most > 0, found / most, 0)
    values: NDArray[np.uint8] = (shares * 255).round().byte().numpy()
    return values


def _has_places(output: Tensor, before: Tensor) -> bool:
    """Whether a layer's output is maps [B, C, h, w] of the image, as those before it are: more than
    one place but no more than they have, and their proportions but for rounding. The heads of an
    attention, [B, heads, tokens, F], have one or the other wrong."""
    if output.ndim != 4 or output[0, 0].numel() == 1:
        return False
    (h, w), (height, width) = output.shape[2:], before.shape[2:]
    rounding = 0 if height == width else 1
    return h <= height and w <= width and abs(h * width / height - w) <= rounding
