"""CIFAR-10 and CIFAR-100, from the official binary version, so that nothing is unpickled.

Layout: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". A row is one label byte
(CIFAR-100: coarse, then fine) and 3,072 pixels, channel by channel.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision.params import Data
from vision.prepared import Split
from vision.sources.archive import stream
from vision.sources.download import Remote, obtain
from vision.sources.record import Record

_ADDRESS = "https://www.cs.toronto.edu/~kriz"
_ROWS = 1_000


@dataclass(frozen=True)
class Version:
    """Where one of the two sets is, and how it is laid out."""

    remote: Remote
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int


VERSIONS = {
    "cifar10": Version(
        remote=Remote(
            f"{_ADDRESS}/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        names="batches.meta.txt",
        label_bytes=1,
        classes=10,
    ),
    "cifar100": Version(
        remote=Remote(
            f"{_ADDRESS}/cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        folder="cifar-100-binary",
        train=("train.bin",),
        test="test.bin",
        names="fine_label_names.txt",
        label_bytes=2,
        classes=100,
    ),
}


def fetch(data: Data, raw: Path) -> dict[str, Any]:
    version = VERSIONS[data.source]
    return {
        **obtain([version.remote], data, raw),
        "licence": "none stated; its authors ask to cite Krizhevsky 2009",
        "images": 60_000,
        "classes": version.classes,
    }


def records(data: Data, raw: Path) -> Iterator[Record]:
    version = VERSIONS[data.source]
    path = raw / version.remote.name
    (names,) = (file.read() for _, file in stream(path, {f"{version.folder}/{version.names}"}))
    classes = names.decode().split()
    width = version.label_bytes + 3 * 32 * 32
    members = {f"{version.folder}/{name}" for name in (*version.train, version.test)}
    for member, file in stream(path, members):
        batch = posixpath.basename(member)
        split: Split = "test" if batch == version.test else "train"
        index = 0
        while block := file.read(_ROWS * width):
            for row in np.frombuffer(block, np.uint8).reshape(-1, width):
                image = row[version.label_bytes :].reshape(3, 32, 32).transpose(1, 2, 0)
                label = classes[row[version.label_bytes - 1]]
                yield Record(f"{batch}/{index:05d}", split, label, image)
                index += 1
