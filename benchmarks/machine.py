"""What figures were measured on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import torch
from torch import nn

from benchmarks.inputs import Inputs
from vision import runtime
from vision.params import Runtime

PACKAGES = ("torch", "torchvision", "timm", "numpy")


def describe(inputs: Inputs) -> dict[str, str]:
    """Hardware, software, data and date, in words."""
    device = runtime.choose(Runtime(), nn.Identity()).device
    cpu = torch.device("cpu")
    hardware = [
        runtime.describe(cpu),
        torch.backends.cpu.get_cpu_capability(),
        f"bf16 {'' if runtime.multiplies_bf16(cpu) else 'not '}in hardware",
        f"{runtime.available_memory() / 1e9:.0f} GB of memory free",
    ]
    if device != cpu:
        hardware.append(runtime.describe(device))
    packages = [f"{package} {version(package)}" for package in PACKAGES]
    return {
        "hardware": ", ".join(hardware),
        "other work": f"load average {os.getloadavg()[0]:.1f} before the first bench",
        "software": ", ".join(
            [f"Python {platform.python_version()}", platform.platform(), *packages]
        ),
        "data": inputs.name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
