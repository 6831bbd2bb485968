"""UTKFace: faces whose age, 0 to 116 years, is the first part of the file name.

The files are AGE_GENDER_RACE_DATE.jpg, or AGE_GENDER_RACE_DATE.jpg.chip.jpg when cropped, in a
folder or archive of any depth (https://susanqq.github.io/UTKFace/). Some lack the race, a letter
of the ending, or the dot before it: only the age and an image-like ending are asked for.
"""

import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vision.errors import UserError
from vision.params import Data
from vision.sources.archive import Label, Listing, bring, labelled
from vision.sources.record import Record

_NAME = re.compile(r"(\d{1,3})_.*(j?pe?g|png)\s*", re.IGNORECASE)
_LICENCE = "non-commercial research only; the images belong to their owners"


def fetch(data: Data, raw: Path) -> dict[str, Any]:
    return {**bring(data, raw, find_ages), "licence": _LICENCE}


def records(data: Data, raw: Path) -> Iterator[Record]:
    return labelled(data, raw, find_ages)


def find_ages(data: Data, listing: Listing) -> dict[str, Label]:
    """Labels by path: the age in years, or the group that `data.age_groups` puts it into."""
    labels = {}
    for path in listing.files:
        match = _NAME.fullmatch(posixpath.basename(path))
        if match:
            age = int(match[1])
            target = float(age) if data.age_groups is None else _group(age, data.age_groups)
            labels[path] = Label(path, None, target)
    if not labels:
        raise UserError(
            f"{listing.where} holds no file named AGE_GENDER_RACE_DATE.jpg: put UTKFace's images, "
            f"or its archive, there (https://susanqq.github.io/UTKFace/)"
        )
    return labels


def _group(age: int, edges: list[int]) -> str:
    """[18, 40] makes 0-17, 18-39 and 40+."""
    bounds = [0, *edges]
    index = bisect_right(edges, age)
    return f"{bounds[index]}-{edges[index] - 1}" if index < len(edges) else f"{edges[-1]}+"
