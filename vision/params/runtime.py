"""`runtime`: on what the study runs, and how."""

from typing import Literal

from vision.params.section import Section


class Runtime(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    determinism: bool = True
    """Kernels that give the same bytes at every run; false allows faster ones on CUDA."""
    compile: bool = False
    """torch.compile: up to minutes of warm-up, for steps that are somewhat faster."""
