"""The 1,797 handwritten 8x8 digits that ship inside scikit-learn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vision.files import sha256
from vision.params import Data
from vision.sources.record import Record


def fetch(data: Data, raw: Path) -> dict[str, Any]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.save(raw / "images.npy", digits.images.astype(np.uint8))
    np.save(raw / "labels.npy", digits.target.astype(np.int64))
    return {
        "from": "sklearn.datasets.load_digits, the test set of https://doi.org/10.24432/C50P49",
        "files": {name: sha256(raw / name) for name in ("images.npy", "labels.npy")},
        "licence": "CC BY 4.0",
        "images": len(digits.target),
        "classes": 10,
    }


def records(data: Data, raw: Path) -> Iterator[Record]:
    # the original scale is 0..16
    images = np.rint(np.load(raw / "images.npy") * (255 / 16)).astype(np.uint8)
    for index, (image, label) in enumerate(zip(images, np.load(raw / "labels.npy"), strict=True)):
        yield Record(f"{index:04d}", None, str(label), image)
