"""Where images come from: one module a source, found by `data.source`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from vision.params import Data
from vision.sources import cifar, digits, folder, mnist, utkface
from vision.sources.record import Record


class Source(Protocol):
    """What each module of this package offers."""

    def fetch(self, data: Data, raw: Path) -> dict[str, Any]:
        """Put the source's files, as they came, into the empty folder `raw`.

        Returns what source.json tells of them: `from`, `files` (sha256 by name), `licence`,
        `images` and, for classes, `classes` (counts).

        Raises:
            UserError: the files cannot be had, or are not what they should be.
        """

    def records(self, data: Data, raw: Path) -> Iterator[Record]:
        """Stream every image of the fetched files, in any order."""


SOURCES: dict[str, Source] = {
    "digits": digits,
    "cifar10": cifar,
    "cifar100": cifar,
    "mnist": mnist,
    "fashion_mnist": mnist,
    "folder": folder,
    "utkface": utkface,
}
