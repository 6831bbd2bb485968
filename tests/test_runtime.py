"""Device and precision."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vision import runtime
from vision.errors import UserError
from vision.params import Runtime

PLAIN = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
DEPTHWISE = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8))


@pytest.mark.parametrize(
    ("has_bf16", "network", "precision"),
    [
        (True, PLAIN, "bf16"),
        (True, DEPTHWISE, "fp32"),
        (False, PLAIN, "fp32"),
        (False, DEPTHWISE, "fp32"),
    ],
    ids=["bf16 plain", "bf16 depthwise", "old plain", "old depthwise"],
)
def test_precision_on_a_cpu_follows_its_instructions_and_the_network(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, network: nn.Module, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert runtime.choose(Runtime(device="cpu"), network).precision == precision
    for wanted in ("fp32", "bf16", "fp16"):
        named = Runtime.model_validate({"device": "cpu", "precision": wanted})
        assert runtime.choose(named, network).precision == wanted


@pytest.mark.parametrize(("major", "precision"), [(7, "fp16"), (8, "bf16"), (9, "bf16")])
def test_precision_on_cuda_follows_its_generation(
    monkeypatch: pytest.MonkeyPatch, major: int, precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (major, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70", "sm_90", "compute_90"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    chosen = runtime.choose(Runtime(), DEPTHWISE)
    assert (chosen.device.type, chosen.precision) == ("cuda", precision)


def test_a_gpu_too_old_for_this_torch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90a"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert runtime.choose(Runtime(), PLAIN).device.type == "cpu"
    with pytest.raises(UserError, match="cuda is not available"):
        runtime.choose(Runtime(device="cuda"), PLAIN)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_asked_for_and_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"runtime\.device: {device} is not available.*auto"):
        runtime.choose(Runtime.model_validate({"device": device}), PLAIN)
    assert runtime.choose(Runtime(), PLAIN).device.type == "cpu"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_cpu_computes_in_the_precision_asked_for(precision: str) -> None:
    named = Runtime.model_validate({"device": "cpu", "precision": precision})
    compute = runtime.choose(named, PLAIN)
    with compute.autocast():
        out = PLAIN(torch.ones(1, 3, 8, 8))
    expected = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    assert out.dtype == expected[precision]
    assert torch.are_deterministic_algorithms_enabled()


def test_a_cost_says_what_it_was_measured_on() -> None:
    cpu = torch.device("cpu")
    assert f"{torch.get_num_threads()} threads" in runtime.describe(cpu)
    assert 10**7 < runtime.peak_memory(cpu) < 10**12


def test_memory_is_what_the_container_has_left(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable: 64 kB\n")
    assert runtime.available_memory(tmp_path) == 64 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/job/step\n")
    step = tmp_path / "sys/fs/cgroup/job/step"
    step.mkdir(parents=True)
    for group, limit in ((step, "max"), (step.parent, "50000")):
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text("40000\n")
        (group / "memory.stat").write_text("anon 30000\ninactive_file 9000\nactive_file 1000\n")
    assert runtime.available_memory(tmp_path) == 50000 - 40000 + 9000 + 1000


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "accumulate: 2"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "accumulate: 2"),
        (
            NotImplementedError(
                "'aten::x' is not currently implemented for the MPS device. If you"
            ),
            "'aten::x' is not currently .* runtime.device: cpu",
        ),
    ],
    ids=["mps", "cpu", "missing on mps"],
)
def test_what_a_device_cannot_do_is_explained(error: Exception, says: str) -> None:
    with pytest.raises(UserError, match=says), runtime.explaining(64, 1):
        raise error
