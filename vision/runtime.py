"""Device, precision and determinism."""

import ctypes
import os
import platform
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vision.errors import UserError
from vision.params import Runtime

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where a network runs and in which precision."""

    device: torch.device
    precision: str
    """fp32, bf16 or fp16: the dtype of matrix products and convolutions under autocast."""

    def autocast(self) -> AbstractContextManager[None]:
        dtype = PRECISIONS[self.precision]
        context: AbstractContextManager[None] = torch.autocast(
            self.device.type, dtype, enabled=dtype is not None
        )
        return context

    def holds(self, size: int) -> bool:
        """Whether `size` bytes of data fit on the device beside the training itself."""
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
        else:
            free = available_memory()
        return size < free // 2


def choose(runtime: Runtime, network: nn.Module) -> Compute:
    """The device and precision for a network; deterministic algorithms are switched on, or off if
    `runtime` says so.

    `auto` takes CUDA, then Apple's MPS, then the CPU. Its precision is bf16 where the device has
    bf16 matrix instructions, except for depthwise convolutions on a CPU, which bf16 slows down
    (MobileNetV1 at 96x96 on two AVX-512 cores: 222 images/s in fp32, 184 in bf16); fp16 with loss
    scaling on older CUDA devices; fp32 elsewhere.

    Raises:
        UserError: the device is asked for by name and is not there.
    """
    device = device_of(runtime)
    # read by cuBLAS when it starts: without it, its results may differ from run to run
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if runtime.compile:
        torch.use_deterministic_algorithms(runtime.determinism)
    else:  # the same, but for the compiler, whose import takes seconds
        torch.set_deterministic_debug_mode("error" if runtime.determinism else "default")
    # deterministic mode fills new tensors with NaN to show errors; that costs 5 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not runtime.determinism
    if device.type == "cpu":
        _keep_freed_memory()
    fastest = _fastest_precision(device, network)
    return Compute(device, fastest if runtime.precision == "auto" else runtime.precision)


def device_of(runtime: Runtime) -> torch.device:
    """The device that is asked for, or the fastest that there is.

    Raises:
        UserError: it is asked for by name and is not there.
    """
    usable: dict[str, Callable[[], bool]] = {
        "cuda": _has_cuda,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if runtime.device == "auto":
        return torch.device(next(name for name, here in usable.items() if here()))
    if not usable[runtime.device]():
        raise UserError(f"runtime.device: {runtime.device} is not available here; use auto or cpu")
    return torch.device(runtime.device)


def _has_cuda() -> bool:
    """Whether there is a CUDA device that this torch has kernels for; of one that is too old, torch
    says so itself."""
    if not torch.cuda.is_available():
        return False
    built = [int(re.sub(r"\D", "", x)) for x in torch.cuda.get_arch_list() if x.startswith("sm_")]
    major, minor = torch.cuda.get_device_capability()
    return not built or 10 * major + minor >= min(built)


def _keep_freed_memory() -> None:
    """Have glibc reuse large blocks in place of giving them back to the kernel, which hands out
    zeroed pages anew at every step: MobileNetV1 at 96x96 trains twice as fast (143 and 272
    images/s on two cores, batch 128, fp32), networks on 32x32 images as before."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    m_mmap_max, m_trim_threshold = -4, -1  # of malloc.h
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)


def _fastest_precision(device: torch.device, network: nn.Module) -> str:
    if device.type == "cuda":
        return "bf16" if multiplies_bf16(device) else "fp16"
    return "bf16" if multiplies_bf16(device) and not _has_depthwise(network) else "fp32"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for matrices of bf16; others emulate them, slowly."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def _has_depthwise(network: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in network.modules())


def describe(device: torch.device) -> str:
    """The hardware in words, for whoever reads a time."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_name()}, {torch.get_num_threads()} threads"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model n"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of main memory that this process can still have without swapping, and without more than
    its container or batch job may have (where control groups are of version 2)."""
    try:
        with (root / "proc/meminfo").open(encoding="ascii") as lines:
            kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: half of what there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return min([int(kib) * 1024, *_control_groups(root)])


def _control_groups(root: Path) -> Iterator[int]:
    """What the process's control groups (version 2) of limited memory have left, in bytes."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    top = root / "sys/fs/cgroup"
    for own in (top / line[3:].lstrip("/") for line in groups if line.startswith("0::")):
        for group in (own, *own.parents):
            try:
                limit, used = (int((group / f"memory.{x}").read_text()) for x in ("max", "current"))
                stat = (group / "memory.stat").read_text().split()
                # files that were read count as used, until the memory is wanted
                files = [stat[stat.index(f"{x}active_file") + 1] for x in ("", "in")]
            except (OSError, ValueError):  # above the top, or without a limit
                continue
            yield limit - used + sum(map(int, files))


def peak_memory(device: torch.device) -> int:
    """Peak memory of this process in bytes: the device's where it has its own, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # ru_maxrss is in KiB on Linux and in bytes on macOS
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def explaining(batch_size: int, accumulate: int) -> Iterator[None]:
    """Turn what torch says when a device's memory is full, when it lacks a deterministic kernel, or
    when it cannot compile, into a message that says what to do."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise UserError(
                f"batch_size {batch_size} leaves BatchNorm a single value to take the variance "
                "of: set a larger one, or fewer parts (accumulate)"
            ) from error
        raise
    except RuntimeError as error:  # torch.OutOfMemoryError among them
        text = str(error)
        full = ("out of memory", "can't allocate memory")  # of GPUs, of CPUs
        if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in full):
            raise UserError(
                f"out of memory with batch_size {batch_size}, accumulate {accumulate}: set "
                f"accumulate: {accumulate * 2} (the same batch in smaller parts), or a smaller "
                "batch_size or image_size"
            ) from error
        if isinstance(error, NotImplementedError) and "MPS device" in text:
            raise UserError(
                "this network has an operation that Apple's GPU lacks "
                f"({text.split('. ')[0]}): set runtime.device: cpu"
            ) from error
        if "deterministic" in text:
            raise UserError(
                "this network has no kernels here that give the same bytes at every run "
                f"({text.split('.')[0]}): set runtime.determinism: false, or runtime.device: cpu"
            ) from error
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            lines = text.splitlines() or [type(error).__name__]
            reason = next((line for line in lines if "error: " in line), lines[0])
            raise UserError(
                f"torch.compile cannot compile this network here ({reason.strip()}): install a "
                "C++ compiler and Python's headers (g++, python3-dev), or set runtime.compile: "
                "false"
            ) from error
        raise
