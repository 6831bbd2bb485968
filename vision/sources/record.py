"""One image as a source gives it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision.prepared import Split


@dataclass(frozen=True, slots=True)
class Record:
    """An image with its label, before it is decoded and packed."""

    name: str
    """Unique in the source; the packed order is the order of the names."""
    split: Split | None
    """The source's own split; None in every record of a source that has none."""
    target: str | float
    """A class name, or a number in the target's unit."""
    image: bytes | NDArray[np.uint8]
    """An encoded image file, or pixels, uint8 [H, W] or [H, W, 3]."""
