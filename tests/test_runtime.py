"""Device and precision."""

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
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    chosen = runtime.choose(Runtime(), DEPTHWISE)
    assert (chosen.device.type, chosen.precision) == ("cuda", precision)


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
