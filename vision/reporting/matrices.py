"""Confusion matrices that can be read at 2, 10 and 100 classes."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vision.evaluation.results import Study
from vision.reporting.style import BLUE, INK, RED, WIDTH, canvas, longest, place, shorten, svg

NUMBERED = 20
"""Up to this many classes, cells carry numbers."""
NAMED = 40
"""Up to this many classes, the sides carry names; above it, the classes' numbers."""


@svg
def confusion(study: Study, model: str) -> Figure:
    """Each true class as a row, in per cent of its test images, over all seeds.

    Hits are blue and mistakes red; the depth of a mistake grows with the square root of its share,
    so that rare ones show.
    """
    classes = study.prepared.manifest.classes
    counts = confusions(study, model)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(classes)
    names = [shorten(name, 14) for name in classes]
    margin = 24 + (longest(names) if size <= NAMED else 20)
    side = min(WIDTH - margin - 12, 64 * size + 60)
    figure = canvas(side + margin + 12)
    axes = place(figure, margin, 8, side, side)
    axes.imshow(_colours(share), interpolation="none", extent=(-0.5, size - 0.5, size - 0.5, -0.5))
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, alpha=0.3)
    ticks = range(size) if size <= NAMED else range(0, size, 10)
    shown = names if size <= NAMED else [str(tick + 1) for tick in ticks]
    font = min(10.5, 0.75 * side / len(ticks))
    axes.set_xticks(
        ticks,
        shown,
        rotation=90 if 1.07 * longest(shown) > side / len(ticks) else 0,
        size=font,
    )
    axes.set_yticks(ticks, shown, size=font)
    axes.tick_params(length=0)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    if size <= NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            part = share[row, column]
            ink = "white" if row == column and part > 0.45 else INK
            text = axes.text(column, row, _percent(part), color=ink, ha="center", va="center")
            text.set_fontsize(min(12, 0.3 * side / size))
    return figure


def confusions(study: Study, model: str) -> NDArray[np.int64]:
    """Counts [K, K] on the test split at the largest labels setting, summed over seeds."""
    results = study.of(model, study.labels[0])
    return np.sum([result.metrics["test"]["confusion"] for result in results], axis=0)


def _colours(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares 0..1 as RGBA, clear where nothing is."""
    size = len(share)
    hits = np.eye(size, dtype=bool)
    image = np.empty((size, size, 4))
    image[..., :3] = np.where(hits[..., None], to_rgb(BLUE), to_rgb(RED))
    image[..., 3] = np.where(hits, 0.95 * share, (share > 0) * (0.12 + 0.8 * np.sqrt(share)))
    return image


def _percent(share: float) -> str:
    return "<1" if share < 0.005 else ">99" if 0.995 <= share < 1 else f"{share * 100:.0f}"
