"""How much work a network is, whatever the machine."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vision.network import Input, Network


def multiply_adds(network: Network, expects: Input) -> int:
    """Multiply-adds of one image through a network on the CPU.

    Those of convolutions, linear layers and attention, by torch's count of their floating point
    operations, two each. Resizing, norms, activations and pooling are left out, as is usual
    (arXiv 1704.04861).
    """
    blank = torch.zeros(1, expects.channels, expects.height, expects.width)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(blank)
    return int(counter.get_total_flops()) // 2
