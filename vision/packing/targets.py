"""Class names, and the targets as numbers."""

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from vision.errors import UserError
from vision.packing.sample import Sample
from vision.params import Data
from vision.prepared import Split


def class_names(samples: list[Sample], data: Data) -> list[str]:
    """Class names in natural order, 2 before 10; empty for regression."""
    if data.task == "regression":
        return []
    classes = {str(sample.target) for sample in samples}
    return sorted(classes, key=lambda name: (_natural(name), name))


def _natural(name: str) -> list[tuple[int, str]]:
    # re.split puts the digits at the odd places, so numbers meet numbers
    return [
        (int(part), "") if place % 2 else (0, part)
        for place, part in enumerate(re.split(r"(\d+)", name))
    ]


def check_parts(parts: dict[Split, list[Sample]], classes: list[str]) -> None:
    if classes:
        if len(classes) == 1:
            raise UserError(f"all images are of one class, {classes[0]}: add images of another")
        present = Counter(sample.target for sample in parts["train"])
        for name in classes:
            if not present[name]:
                raise UserError(
                    f"class {name} has no image in train, though it has some in another split: "
                    f"add some, or take the class out"
                )
    elif len(np.unique(targets_of(parts["train"], classes))) == 1:
        raise UserError(
            "every target in train is the same number, to the seven digits of float32: there is "
            "nothing to learn"
        )
    for split, part in parts.items():
        if not part:
            raise UserError(f"no image is left for {split}: add images")


def targets_of(
    samples: list[Sample], classes: list[str]
) -> NDArray[np.int64] | NDArray[np.float32]:
    if not classes:
        return np.array([sample.target for sample in samples], np.float32)
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index[str(sample.target)] for sample in samples], np.int64)
