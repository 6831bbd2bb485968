"""How large the images were before they were packed."""

import pandas as pd

from vision.evaluation.results import Study
from vision.reporting.words import SPACE, count, plural


def sentence(study: Study) -> str:
    """The sizes in which the images came, and what it took to bring them to one."""
    manifest = study.prepared.manifest
    table = study.original_sizes()
    width, height = table["width"], table["height"]
    if (width == manifest.width).all() and (height == manifest.height).all():
        return "Every image came in this size."
    said = [f"The images came {_range(width, 'wide')} and {_range(height, 'high')}."]
    shorter, longer = table.min(axis=1), table.max(axis=1)
    cut = round(100 * float((1 - shorter / longer).mean()))
    if cut:
        said.append(
            f"Each was cut to its middle square, which took {cut}{SPACE}% of an image on average."
        )
    small = int((shorter < manifest.width).sum())
    if small:
        said.append(
            f"{plural(small, 'image')} had fewer than {manifest.width} pixels on the shorter side "
            "and had to be enlarged."
        )
    return " ".join(said)


def _range(sides: pd.Series, word: str) -> str:
    """640 pixels wide; or 200 to 4,032 pixels wide (median 1,024)."""
    low, high = sides.min(), sides.max()
    if low == high:
        return f"{count(low)} pixels {word}"
    return f"{count(low)} to {count(high)} pixels {word} (median {count(sides.median())})"
