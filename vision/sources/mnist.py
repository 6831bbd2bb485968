"""MNIST and Fashion-MNIST: four idx files each, with an official train and test split.

The idx format: http://yann.lecun.com/exdb/mnist. The checksums are those under which the files
are published by TensorFlow Datasets and others.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision.params import Data
from vision.prepared import Split
from vision.sources.download import Remote, obtain
from vision.sources.record import Record

_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_NAMES = [name for pair in _FILES.values() for name in pair]


@dataclass(frozen=True)
class Version:
    """Where one of the two sets is, and what its labels 0 to 9 mean."""

    remotes: list[Remote]
    licence: str
    classes: tuple[str, ...]


def _remotes(address: str, checksums: list[str]) -> list[Remote]:
    return [
        Remote(f"{address}/{name}", checksum)
        for name, checksum in zip(_NAMES, checksums, strict=True)
    ]


VERSIONS = {
    "mnist": Version(
        remotes=_remotes(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            [
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ],
        ),
        licence="CC BY-SA 3.0",
        classes=tuple("0123456789"),
    ),
    "fashion_mnist": Version(
        remotes=_remotes(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
            "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion",
            [
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ],
        ),
        licence="MIT",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
}


def fetch(data: Data, raw: Path) -> dict[str, Any]:
    version = VERSIONS[data.source]
    return {
        **obtain(version.remotes, data, raw),
        "licence": version.licence,
        "images": 70_000,
        "classes": 10,
    }


def records(data: Data, raw: Path) -> Iterator[Record]:
    classes = VERSIONS[data.source].classes
    for split, (images, labels) in _FILES.items():
        with gzip.open(raw / images) as image_file, gzip.open(raw / labels) as label_file:
            for index, (image, label) in enumerate(
                zip(_idx(image_file), _idx(label_file), strict=True)
            ):
                yield Record(f"{split}/{index:05d}", split, classes[label], image)


def _idx(file: gzip.GzipFile) -> Iterator[Any]:
    """Each item of a uint8 idx file: two zero bytes, the type, the number of axes, the sizes."""
    axes = file.read(4)[3]
    count, *shape = np.frombuffer(file.read(4 * axes), ">u4").tolist()
    size = int(np.prod(shape, dtype=np.int64))
    for _ in range(count):
        yield np.frombuffer(file.read(size), np.uint8).reshape(shape)
