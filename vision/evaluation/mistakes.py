"""The test images that a run got most wrong, and what it looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.evaluation.metrics import confident_mistakes

KEPT = 12
"""Images a run."""
FILE = "mistakes.npz"


@dataclass(frozen=True)
class Mistakes:
    """The images that a run got most wrong, worst first."""

    index: NDArray[np.int64]
    """In the test split, [M]."""
    seen: NDArray[np.uint8]
    """A coarse map of each image, larger where it spoke for the prediction (see
    `vision.evaluation.gradcam`), [M, h, w]."""

    def save(self, folder: Path) -> None:
        """Write it into a run's folder of the evaluation; always the same bytes."""
        np.savez(folder / FILE, index=self.index, seen=self.seen)


def load(folder: Path) -> Mistakes:
    """Read what `save` wrote."""
    with np.load(folder / FILE) as content:
        return Mistakes(content["index"], content["seen"])


def worst(outputs: NDArray[np.float32], targets: NDArray[Any]) -> NDArray[np.int64]:
    """The images that were got most wrong, at most KEPT.

    Args:
        outputs: logits [N, K], or values [N, 1] in the target's unit.
        targets: class indices int64 [N], or numbers float32 [N].

    Returns:
        Indices [M], worst first: the wrong answers of the highest probability, or the numbers
        furthest from the target.
    """
    if np.issubdtype(targets.dtype, np.integer):
        return confident_mistakes(outputs, targets, KEPT)[0]
    return np.argsort(-np.abs(outputs[:, 0] - targets), kind="stable")[:KEPT]
