"""`runtime`: on what the study runs, and how."""

from typing import Literal

from vision.params.section import Section


class Runtime(Section):
    """The same for every model of the study."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: CUDA, then Apple's MPS, then the CPU."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of matrix products and convolutions; auto: the fastest for the device and network."""
    determinism: bool = True
    """Kernels that give the same bytes at every run; false allows faster ones on CUDA."""
    compile: bool = False
    """torch.compile: up to minutes of warm-up, for steps that are somewhat faster."""
