"""Measurements in processes of their own."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

Ours = TypeVar("Ours")
Theirs = TypeVar("Theirs")


def alone(task: Callable[[], Ours]) -> Ours:
    """What a task (one that can be pickled) returns from a fresh process."""
    with _process() as process:
        return process.submit(task).result()


def in_turn(
    ours: Callable[[int], Ours],
    theirs: Callable[[int], Theirs],
    pairs: int,
    warm_up: bool = False,
) -> list[tuple[Ours, Theirs]]:
    """What two tasks return of a seed, run in turn with so many seeds: a machine that grows busy or
    hot is so for both.

    Each has a process of its own, so that what one sets (the allocator, deterministic kernels)
    does not reach the other; it is the same process every time. With `warm_up`, a first pair
    sets kernels and caches up and is not returned.
    """
    with _process() as here, _process() as there:
        found = [
            (here.submit(ours, seed).result(), there.submit(theirs, seed).result())
            for seed in range(pairs + warm_up)
        ]
    return found[warm_up:]


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
