"""People's own images: a folder or an archive, labelled by its layout or by a labels.csv."""

import csv
import io
import math
import posixpath
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vision.errors import UserError
from vision.params import Data
from vision.prepared import Split
from vision.sources.archive import LABELS, Label, Listing, bring, labelled
from vision.sources.extensions import is_image
from vision.sources.record import Record

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Whatever their capitals."""
LAYOUTS = (
    "CLASS/IMAGE, train|val|test/CLASS/IMAGE, or a labels.csv with the columns file,target[,split]"
)


def fetch(data: Data, raw: Path) -> dict[str, Any]:
    return {**bring(data, raw, find_labels), "licence": "the owner's"}


def records(data: Data, raw: Path) -> Iterator[Record]:
    return labelled(data, raw, find_labels)


def find_labels(data: Data, listing: Listing) -> dict[str, Label]:
    """Labels by path, from `labels.csv` at the top if there is one, else from the folders' names.

    One folder around everything is looked through.

    Raises:
        UserError: there are no images, the layout or the table is faulty, or there is one class.
    """
    labels = find_test_labels(data, listing)
    if data.task == "classification":
        classes = {label.target for label in labels.values()}
        if len(classes) == 1:
            raise UserError(
                f"{listing.where} has one class only, {classes.pop()}: add images of another"
            )
    return labels


def find_test_labels(data: Data, listing: Listing) -> dict[str, Label]:
    """The same for images that no network is trained on: one class will do."""
    images = [name for name in listing.files if is_image(name)]
    if not images:
        raise UserError(f"{listing.where} holds no images: put them there as {LAYOUTS}")
    wrapper = _wrapper(images, listing)
    table = listing.tables.get(wrapper + LABELS)
    if table is not None:
        return _from_table(data, listing, wrapper, table)
    if data.task == "regression":
        raise UserError(
            f"{listing.where}: regression needs a {LABELS} at the top, with the columns "
            f"file,target[,split]"
        )
    return _from_folders(listing, wrapper, images)


def _split_named(name: str) -> Split | None:
    return SPLIT_NAMES.get(name.lower())


def _wrapper(images: list[str], listing: Listing) -> str:
    """The one folder around everything, with a slash; empty if there is none."""
    if LABELS in listing.files:
        return ""
    top = images[0].partition("/")[0]
    if _split_named(top) or any(not name.startswith(f"{top}/") for name in images):
        return ""
    # CLASS/IMAGE alone is one class and no wrapper
    wraps = f"{top}/{LABELS}" in listing.files or all(name.count("/") >= 2 for name in images)
    return f"{top}/" if wraps else ""


def _from_folders(listing: Listing, wrapper: str, images: list[str]) -> dict[str, Label]:
    tops = {name.removeprefix(wrapper).partition("/")[0] for name in images}
    splits = {top for top in tops if _split_named(top)}
    if splits and tops - splits:
        raise UserError(
            f"{listing.where} has the split folder {min(splits)} beside {min(tops - splits)}: "
            f"lay the images out as {LAYOUTS}"
        )
    if splits and "train" not in map(_split_named, splits):
        raise UserError(
            f"{listing.where} has {', '.join(sorted(splits))} but no train folder with images: "
            f"add train/CLASS/IMAGE, or put the class folders at the top to have them split"
        )
    depth = 2 if splits else 1
    labels = {}
    for path in images:
        name = path.removeprefix(wrapper)
        parts = name.split("/")
        if len(parts) <= depth:
            raise UserError(
                f"{listing.where}: {path} is in no class folder: lay the images out as {LAYOUTS}"
            )
        split = _split_named(parts[0])
        labels[path] = Label(name, split, parts[depth - 1])
    filled = {tuple(label.name.split("/")[:depth]) for label in labels.values()}
    for folder in listing.folders:
        parts = folder.removeprefix(wrapper).split("/")
        if len(parts) == depth and folder.startswith(wrapper) and tuple(parts) not in filled:
            raise UserError(
                f"{listing.where}: the class folder {folder} has no images: add some, or delete it"
            )
    return labels


def _from_table(data: Data, listing: Listing, wrapper: str, table: bytes) -> dict[str, Label]:
    where = f"{listing.where}: {LABELS}"
    rows = _rows(table, where)
    _, columns = next(rows, ("", []))
    for column in ("file", "target"):
        if column not in columns:
            raise UserError(
                f"{where} has no column {column!r}, only {', '.join(columns) or 'an empty line'}: "
                f"its first line must be file,target or file,target,split, with commas"
            )
    twice = next((x for x in columns if x and columns.count(x) > 1), None)
    if twice:
        raise UserError(f"{where} has the column {twice!r} twice: keep one")
    known = set(listing.files)
    composed = {_composed(path): path for path in listing.files}
    labels: dict[str, Label] = {}
    for line, cells in rows:
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise UserError(
                f"{line}: {cells[len(columns)]!r} has no column: put quotes around a cell that "
                f"holds a comma"
            )
        row = dict(zip(columns, cells, strict=False))
        name = posixpath.normpath(row.get("file", "").strip())
        path = wrapper + name
        if path not in known:
            path = composed.get(_composed(wrapper + name.replace("\\", "/")), "")
        if not path:
            raise UserError(f"{line}: there is no file {name}: add it, or delete the line")
        if path in labels:
            raise UserError(f"{line}: {name} was listed before: keep one of its lines")
        split = _split(row.get("split"), line) if "split" in columns else None
        target = _target(data, row.get("target"), line)
        labels[path] = Label(path.removeprefix(wrapper), split, target)
    if not labels:
        raise UserError(f"{where} has no lines after the first: add one for each image")
    if "split" in columns and all(label.split != "train" for label in labels.values()):
        raise UserError(f"{where} puts no image into train: name train in the column split")
    return labels


def _rows(table: bytes, where: str) -> Iterator[tuple[str, list[str]]]:
    """The cells of each row that has any, and what messages call its line."""
    try:
        text = io.StringIO(table.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text: save it as UTF-8 CSV") from None
    rows = csv.reader(text, strict=True)
    while True:
        # an unclosed quote is only noticed at the end of the file
        start = f"{where}, line {rows.line_num + 1}"
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{start}: a cell is not CSV ({error}): close its quotes, or double those inside it"
            ) from None
        if any(cell.strip() for cell in cells):
            yield f"{where}, line {rows.line_num}", cells


def _composed(path: str) -> str:
    """The path as it is compared: macOS writes an accent apart from its letter, others do not."""
    return unicodedata.normalize("NFC", posixpath.normpath(path))


def _split(text: str | None, line: str) -> Split:
    split = _split_named((text or "").strip())
    if split is None:
        raise UserError(f"{line}: split is {text or ''!r}: write train, val or test")
    return split


def _target(data: Data, text: str | None, line: str) -> str | float:
    text = (text or "").strip()
    if not text:
        raise UserError(f"{line}: target is empty: fill it in, or delete the line")
    if data.task == "classification":
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number) or abs(number) > float(np.finfo(np.float32).max):
        raise UserError(
            f"{line}: target {text!r} is not a number that float32 holds, as regression needs"
        )
    return number
