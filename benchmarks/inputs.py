"""The data, the weights and the recipes that the benches run on."""

import csv
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.processes import alone
from vision import params
from vision.errors import UserError
from vision.files import replacing, sha256
from vision.packing import pack
from vision.params import Data, Scratch, Transfer, phases
from vision.prepared import SPLITS, Prepared, Split
from vision.sources import SOURCES

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "data" / "bench"
"""Packed once for each archive; git ignores it. To have it made anew, delete it."""
CIFAR10 = "cifar-10-binary.tar.gz"
"""The original, by the name of its archive; any other is images in folders."""
Section = TypeVar("Section", bound=params.Section)


class MissingError(UserError):
    """Something that a bench wants is not on this machine."""


def recipes(study: str = "cifar10_jpeg") -> params.Params:
    """A study of `studies/`: what the benches train is what users train."""
    return params.load(ROOT / "studies" / f"{study}.yaml")


@dataclass(frozen=True)
class Inputs:
    """CIFAR-10 as an archive, and MobileNetV1's weights; packed and cut under `cache`."""

    archive: Path
    weights: Path
    cache: Path = CACHE

    @property
    def name(self) -> str:
        """Of the data, for whoever reads a figure."""
        return "CIFAR-10" if self.archive.name == CIFAR10 else f"images of {self.archive.name}"

    def whole(self, validation: float = 0.1) -> Prepared:
        """The archive, packed; `validation` is the share of its training images held out.

        Raises:
            MissingError: there is no such archive.
        """
        root = self._root() / f"whole-{validation:g}"
        if not root.exists():
            alone(partial(_pack, self._data(validation), self._fetched(), root))
        return Prepared(root)

    def part(self, train: int, val: int) -> Prepared:
        """So many training and validation images, evenly from the whole, and none for test."""
        whole = self.whole()
        root = self._root() / f"part-{train}-{val}"
        if not root.exists():
            _cut(whole, {"train": train, "val": val, "test": 0}, root)
        return Prepared(root)

    def files(self, train: int) -> Path:
        """The training images of `part(train, ...)` as files, a folder a class."""
        whole = self.whole()
        root = self._root() / f"files-{train}"
        if not root.exists():
            with (whole.root / "samples.csv").open(encoding="utf-8", newline="") as table:
                names = [row["name"] for row in csv.DictReader(table) if row["split"] == "train"]
            wanted = {names[i] for i in evenly(len(names), train)}
            _write_files(self._data(), self._fetched(), wanted, root)
        return root

    def transfer(self, name: str) -> Transfer:
        """A transfer of the study, with the weights that are here.

        Raises:
            MissingError: there are no such weights.
        """
        if not self.weights.exists():
            raise MissingError(f"{self.weights} is not there (--weights FILE)")
        model = recipes().models[name]
        assert isinstance(model, Transfer)
        return changed(model, weights=str(self.weights))

    def _root(self) -> Path:
        if not self.archive.exists():
            raise MissingError(f"{self.archive} is not there (--archive FILE)")
        return self.cache / sha256(self.archive)[:12]

    def _data(self, validation: float = 0.1) -> Data:
        source = "cifar10" if self.archive.name == CIFAR10 else "folder"
        content = {"source": source, "path": str(self.archive), "validation": validation}
        return Data.model_validate(content)

    def _fetched(self) -> Path:
        root = self._root() / "raw"
        if not root.exists():
            data = self._data()
            with replacing(root) as folder:
                SOURCES[data.source].fetch(data, folder)
        return root


def scratch(name: str, study: str = "cifar10_jpeg") -> Scratch:
    """A model of a study that is trained from random weights."""
    model = recipes(study).models[name]
    assert isinstance(model, Scratch)
    return model


def changed(section: Section, **values: Any) -> Section:
    """A section of params with other values for some keys."""
    return section.model_copy(update=values)


def untrained(model: Scratch | Transfer) -> Scratch | Transfer:
    """A model whose phases have no epochs."""
    if isinstance(model, Scratch):
        return changed(model, epochs=0)
    ended = {name: changed(recipe, epochs=0) for name, recipe in phases(model).items()}
    return changed(model, **ended)


def evenly(count: int, wanted: int) -> NDArray[np.int64]:
    """At most so many of the indices below `count`, evenly spaced: packed images lie by class."""
    return np.linspace(0, count, min(wanted, count), endpoint=False).astype(np.int64)


def _pack(data: Data, raw: Path, root: Path) -> None:
    with replacing(root) as folder:
        pack(SOURCES[data.source].records(data, raw), data, folder)


def _cut(whole: Prepared, wanted: dict[Split, int], root: Path) -> None:
    with replacing(root) as folder:
        for split in SPLITS:
            index = evenly(whole.manifest.counts[split], wanted[split])
            np.save(folder / f"{split}.npy", whole.images(split)[index])
            np.save(folder / f"{split}_targets.npy", whole.targets(split)[index])
        manifest = whole.manifest.model_copy(update={"counts": wanted})
        (folder / "manifest.json").write_text(manifest.model_dump_json())


def _write_files(data: Data, raw: Path, wanted: set[str], root: Path) -> None:
    with replacing(root) as folder:
        records = (r for r in SOURCES[data.source].records(data, raw) if r.name in wanted)
        for record in islice(records, len(wanted)):
            place = folder / str(record.target)
            place.mkdir(exist_ok=True)
            name = record.name.replace("/", "_")
            if isinstance(record.image, bytes):
                (place / name).write_bytes(record.image)
            else:
                Image.fromarray(record.image).save(place / f"{name}.png")
