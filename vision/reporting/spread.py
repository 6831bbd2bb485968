"""How the targets are spread over the splits."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vision.evaluation.results import Study
from vision.prepared import SPLITS, Split
from vision.reporting.style import (
    BLUE,
    COLOURS,
    RED,
    WIDTH,
    canvas,
    legend,
    longest,
    place,
    shorten,
    svg,
)
from vision.reporting.words import SPLIT_NAMES, count, plural, ratio

LISTED = 40
"""Up to this many classes, each has a line with its name."""
ALIKE = 1.1
"""Classes are of about the same size if the largest has less than this many times the smallest."""
LOOKS: dict[Split, dict[str, Any]] = {
    "train": {"color": BLUE, "marker": "o"},
    "val": {"color": COLOURS[1], "marker": "s"},
    "test": {"color": RED, "marker": "D"},
}


@svg
def classes(study: Study) -> Figure:
    """Share of each class in each split, in per cent: a line a class, or sorted where many."""
    manifest = study.prepared.manifest
    shares = {
        split: 100 * np.array(manifest.class_counts[split]) / max(manifest.counts[split], 1)
        for split in SPLITS
    }
    size = len(manifest.classes)
    listed = size <= LISTED
    height = 20 * size if listed else 220
    names = [shorten(name, 24) for name in manifest.classes]
    left = 16 + longest(names) if listed else 48
    figure = canvas(10 + height + 62)
    axes = place(figure, left, 10, WIDTH - left - 16, height)
    order = np.arange(size) if listed else np.argsort(-shares["train"], kind="stable")
    handles = []
    for split in SPLITS:
        across, down = (
            (shares[split], np.arange(size)) if listed else (np.arange(size), shares[split][order])
        )
        handles += axes.plot(
            across, down, ls="", ms=6 if listed else 3.5, alpha=0.85, **LOOKS[split]
        )
    top = 1.12 * max(share.max() for share in shares.values())
    if listed:
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_yticks(range(size), names)
        axes.set_xlim(0, top)
        axes.set_xlabel("Share of the split (%)")
    else:
        axes.set_ylim(0, top)
        axes.set_xticks([])
        axes.set_ylabel("Share of the split (%)")
        axes.set_xlabel(f"{size} classes, the largest first")
    legend(figure, handles, [SPLIT_NAMES[split] for split in SPLITS], 10 + height + 44, 3)
    return figure


def balance(study: Study) -> str:
    """How unequal the classes are, in a sentence."""
    classes = study.prepared.manifest.classes
    counts = study.prepared.manifest.class_counts["train"]
    most, least = max(counts), min(counts)
    if most == least:
        return f"Each class has {plural(most, 'training image')}."
    if most < ALIKE * least:
        return f"Each class has {count(least)} to {count(most)} training images."
    return (
        f"The largest class in training, {classes[counts.index(most)]}, has {count(most)} images, "
        f"{ratio(most / least)} as many as the smallest, {classes[counts.index(least)]}."
    )


@svg
def numbers(study: Study) -> Figure:
    """Histogram of the target in each split, in per cent of the split."""
    unit = study.prepared.manifest.unit
    targets = {split: study.prepared.targets(split) for split in SPLITS}
    every = np.concatenate(list(targets.values())).astype(np.float64)
    edges = np.histogram_bin_edges(every, bins=20)
    figure = canvas(10 + 220 + 62)
    axes = place(figure, 48, 10, WIDTH - 64, 220)
    handles = []
    for split, dash in zip(SPLITS, ("-", (0, (5, 2)), (0, (1, 1.5))), strict=True):
        share = 100 * np.histogram(targets[split], edges)[0] / max(len(targets[split]), 1)
        handles += axes.step(
            edges, [*share, share[-1]], where="post", color=LOOKS[split]["color"], ls=dash
        )
    axes.set_ylim(0)
    axes.set_xlabel("Target" + (f" ({unit})" if unit else ""))
    axes.set_ylabel("Share of the split (%)")
    legend(figure, handles, [SPLIT_NAMES[split] for split in SPLITS], 10 + 220 + 44, 3)
    return figure
