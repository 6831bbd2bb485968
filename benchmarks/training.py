"""Speed and memory of training from random weights, and the choice of precision."""

from functools import partial
from typing import Literal

import torch
from torch import nn

from benchmarks import engine, usual
from benchmarks.inputs import Inputs, changed, scratch
from benchmarks.processes import alone, in_turn
from benchmarks.table import Bar, Row
from vision import runtime
from vision.fit import Length
from vision.params import Finetune, Runtime, Scratch, Transfer
from vision.prepared import Prepared


def resnet20(inputs: Inputs, train: int = 5_632, pairs: int = 3) -> list[Row]:
    """ResNet-20 against the usual loop."""
    model = changed(scratch("resnet20"), epochs=1)
    part = inputs.part(train, train // 9)
    speeds = in_turn(
        partial(engine.images_per_second, model, part, engine.AUTO),
        partial(usual.images_per_second, inputs.files(train), part.manifest, model),
        pairs,
        warm_up=True,
    )
    shown = ", ".join(f"{ours:.0f} and {theirs:.0f}" for ours, theirs in speeds)
    return [
        Row(
            "ResNet-20 training, images/s",
            f"ImageFolder, DataLoader ({usual.WORKERS} workers), transforms v2, fp32 loop",
            [ours / theirs for ours, theirs in speeds],
            bar=Bar("≥", 2.8),
            note=f"Epochs of {train:,} images, same augmentation; images/s: {shown}.",
        )
    ]


def loop(inputs: Inputs, train: int = 5_632, pairs: int = 5) -> list[Row]:
    """What the loop costs beside its steps."""
    model = changed(scratch("resnet20"), epochs=1)
    part = inputs.part(train, train // 9)
    length = Length.of(model, train)
    seconds = in_turn(
        partial(engine.images_per_second, model, part, engine.AUTO),
        partial(engine.bare_step, model, part, length.steps, True),
        pairs,
        warm_up=True,
    )
    found = [(length.batch_size / speed, bare) for speed, bare in seconds]
    shown = ", ".join(f"{ours * 1e3:.1f} and {bare * 1e3:.1f}" for ours, bare in found)
    return [
        Row(
            "the loop: ResNet-20 training, augmentation included",
            "bare forward, backward and step on one resident batch",
            [ours / bare for ours, bare in found],
            bar=Bar("≤", 1.08),
            note=f"Epochs of {length.steps} steps of {length.batch_size}, validation left out; "
            f"ms a step: {shown}.",
        )
    ]


def memory(inputs: Inputs) -> list[Row]:
    """Peak memory of training on the whole data set."""
    whole = inputs.whole()
    peak = alone(partial(peak_gigabytes, changed(scratch("resnet20"), epochs=1), whole))
    return [
        Row(
            "peak memory of ResNet-20 training",
            values=[peak],
            unit="GB",
            bar=Bar("≤", 1.8),
            note=f"An epoch of all {whole.manifest.counts['train']:,} training images: "
            "resident memory of a process that runs the engine alone.",
        )
    ]


def peak_gigabytes(model: Scratch, prepared: Prepared) -> float:
    """Peak resident memory of this process, once it has trained."""
    engine.run(model, prepared)
    return runtime.peak_memory(torch.device("cpu")) / 1e9


def precision(inputs: Inputs, train: int = 1_280, pairs: int = 3) -> list[Row]:
    """Whether precision `auto` takes the faster one."""
    part = inputs.part(train, train // 9)
    rows = [_precision("ResNet-20", changed(scratch("resnet20"), epochs=1), part, pairs)]
    tuned = inputs.transfer("finetuned")
    assert isinstance(tuned.finetune, Finetune)
    mobilenet = changed(tuned, head=None, finetune=changed(tuned.finetune, epochs=1))
    return [*rows, _precision("MobileNetV1 at 96x96", mobilenet, part, pairs)]


def _precision(name: str, model: Scratch | Transfer, part: Prepared, pairs: int) -> Row:
    auto = alone(partial(engine.precision, model, part))
    bench = f"{name} training at precision auto, images/s"
    low = _low(runtime.choose(Runtime(), nn.Identity()).device)
    if low is None:
        note = f"auto takes {auto}; bf16 is emulated on this machine, and was not run."
        return Row(bench, "bf16", note=note)
    speeds = in_turn(
        partial(engine.images_per_second, model, part, Runtime(precision="fp32")),
        partial(engine.images_per_second, model, part, Runtime(precision=low)),
        pairs,
        warm_up=True,
    )
    shown = ", ".join(f"{full:.0f} and {less:.0f}" for full, less in speeds)
    return Row(
        bench,
        low if auto == "fp32" else "fp32",
        [full / less if auto == "fp32" else less / full for full, less in speeds],
        bar=Bar("≥", 1.0),
        note=f"auto takes {auto}. Epochs of {part.manifest.counts['train']:,} images; images/s in "
        f"fp32 and {low}: {shown}.",
    )


def _low(device: torch.device) -> Literal["bf16", "fp16"] | None:
    """The lower precision that a device has instructions for."""
    if runtime.multiplies_bf16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else None
