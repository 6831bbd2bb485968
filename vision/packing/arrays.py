"""The packed files, written in bounded memory."""

import csv
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vision.packing.decode import Pixels
from vision.packing.sample import Sample
from vision.prepared import Split

_BLOCK_BYTES = 16 << 20


def blocks(
    pixels: BinaryIO, samples: list[Sample], shape: tuple[int, int, int]
) -> Iterator[Pixels]:
    """The samples' pixels in turn, [some, H, W, C]; read, not mapped, so memory stays small."""
    size = math.prod(shape)
    step = max(1, _BLOCK_BYTES // size)
    for start in range(0, len(samples), step):
        block = np.empty((len(samples[start : start + step]), *shape), np.uint8)
        for row, sample in zip(block, samples[start : start + step], strict=True):
            pixels.seek(sample.place * size)
            pixels.readinto(row.data)  # type: ignore[attr-defined]
        yield block


def counting(blocks: Iterator[Pixels], histogram: NDArray[np.int64]) -> Iterator[Pixels]:
    """Add up how often each channel has each value: exact, whatever the number of images."""
    for block in blocks:
        for channel, counts in enumerate(histogram):
            counts += np.bincount(block[..., channel].ravel(), minlength=256)
        yield block


def moments(histogram: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and population standard deviation of each channel, for pixels scaled to 0..1."""
    values = np.arange(256)
    total = histogram.sum(axis=1)
    mean = histogram @ values / total
    variance = histogram @ values**2 / total - mean**2
    return (mean / 255).tolist(), (np.sqrt(variance) / 255).tolist()


def write_images(path: Path, blocks: Iterator[Pixels], shape: tuple[int, ...]) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.data)


def digest_of(table: Path, parts: dict[Split, list[Sample]]) -> str:
    digest = hashlib.sha256(table.read_bytes())
    for part in parts.values():
        for sample in part:
            digest.update(sample.digest)
    return digest.hexdigest()


def write_table(path: Path, parts: dict[Split, list[Sample]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["split", "index", "name", "target", "width", "height"])
        for split, part in parts.items():
            table.writerows(
                [split, index, sample.name, sample.target, *sample.original]
                for index, sample in enumerate(part)
            )
