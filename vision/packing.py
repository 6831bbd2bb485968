"""Images of any source into the packed arrays of vision.prepared, in bounded memory.

Pixels go to one scratch file as they are decoded. What is kept in memory of each image is its
name, label, digest and place, and from these everything is decided: the order, the split, the
duplicates. Then each split's array is written row by row.
"""

import csv
import hashlib
import io
import math
import os
import re
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from vision.errors import UserError
from vision.params import Data
from vision.prepared import SPLITS, Manifest, Prepared, Split
from vision.sources.record import Record

_TASK_IMAGES = 64
_TASK_BYTES = 4 << 20
_BLOCK_BYTES = 16 << 20
_TARGET_BINS = 10
_ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]


@dataclass(slots=True)
class _Sample:
    """What is remembered of an image."""

    name: str
    split: Split | None
    target: str | float
    digest: bytes
    place: int
    """Its row in the scratch file."""


def pack(records: Iterable[Record], data: Data, root: Path) -> Manifest:
    """Write the arrays, samples.csv and manifest.json of `records` into the folder `root`.

    The result depends on the images, their names and labels, and `data`; not on their order.

    - Size: the shorter side is resized (bicubic, antialiased) to `data.image_size`, then the
      centre is cropped. Transparency is laid on white; EXIF orientation is applied.
    - Split: where the source has no test split, `data.test` of the images that are in no other
      split; then, where it has no validation split, `data.validation` of the training images.
      Stratified by class, or by tenths of the target's range of ranks. An image's part in it
      depends on its name and `data.split_seed` only, so that adding images moves few others.
    - Duplicates have the same packed pixels. `duplicates_across` tells what was found;
      `duplicates_within` counts what the arrays hold.

    Raises:
        UserError: an image is unreadable or of another size or kind than the others, a name is
            there twice, or a class has no training image.
    """
    scratch = root / "pixels.tmp"
    try:
        with scratch.open("w+b") as pixels:
            samples, shape, skipped = _spool(records, data, pixels)
            _order(samples)
            _complete_split(samples, data)
            across = _duplicates_across(samples)
            kept = _without_leaks(samples) if data.deduplicate else samples
            classes = _classes(kept, data)
            parts = {split: [s for s in kept if s.split == split] for split in SPLITS}
            _check_parts(parts, classes)
            histogram = np.zeros((shape[2], 256), np.int64)
            for split, part in parts.items():
                blocks = _blocks(pixels, part, shape)
                if split == "train":
                    blocks = _counting(blocks, histogram)
                _write_images(root / f"{split}.npy", blocks, (len(part), *shape))
    finally:
        scratch.unlink(missing_ok=True)
    targets = {split: _targets(part, classes) for split, part in parts.items()}
    for split, values in targets.items():
        np.save(root / f"{split}_targets.npy", values)
    _write_table(root / "samples.csv", parts)
    mean, std = _moments(histogram)
    numbers = targets["train"].astype(np.float64) if data.task == "regression" else None
    manifest = Manifest(
        task=data.task,
        classes=classes,
        unit=data.unit,
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        mean=mean,
        std=std,
        target_mean=None if numbers is None else float(numbers.mean()),
        target_std=None if numbers is None else float(numbers.std()),
        counts={split: len(part) for split, part in parts.items()},
        class_counts={
            split: np.bincount(values, minlength=len(classes)).tolist() if classes else []
            for split, values in targets.items()
        },
        split_digest=_digest(root / "samples.csv", parts),
        duplicates_within={
            split: len(part) - len({sample.digest for sample in part})
            for split, part in parts.items()
        },
        duplicates_across=across,
        deduplicated=len(samples) - len(kept),
        skipped=skipped,
    )
    (root / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def pack_test(records: Iterable[Record], data: Data, first: Prepared, root: Path) -> Manifest:
    """Write a further test set into the folder `root`: a folder of packed arrays like that of
    `first`, the study's own data, but that its training and validation splits are empty.

    Its images are brought to the size and channels of `first`, its targets are numbered as there.
    In its manifest, means are those of `first`, and `duplicates_across` tells which images have the
    same pixels as an image of any split of `first`.

    Raises:
        UserError: an image is unreadable, a name is there twice, or the size or a class is unknown
            to `first`.
    """
    known = first.manifest
    shape = (known.height, known.width, known.channels)
    size = {"image_size": data.image_size, "channels": known.channels}
    scratch = root / "pixels.tmp"
    try:
        with scratch.open("w+b") as pixels:
            samples, found, skipped = _spool(records, data.model_copy(update=size), pixels)
            if found != shape:
                raise UserError(
                    f"the images have {found[1]}x{found[0]} pixels and those of the study "
                    f"{shape[1]}x{shape[0]}: set data.image_size to bring all to one size"
                )
            _order(samples)
            _check_known(samples, known.classes)
            for sample in samples:
                sample.split = "test"
            _write_images(
                root / "test.npy", _blocks(pixels, samples, shape), (len(samples), *shape)
            )
    finally:
        scratch.unlink(missing_ok=True)
    parts: dict[Split, list[_Sample]] = {"train": [], "val": [], "test": samples}
    np.save(root / "test_targets.npy", _targets(samples, known.classes))
    _write_table(root / "samples.csv", parts)
    manifest = known.model_copy(
        update={
            "counts": {split: len(part) for split, part in parts.items()},
            "class_counts": {
                split: [sum(x.target == name for x in part) for name in known.classes]
                for split, part in parts.items()
            },
            "split_digest": _digest(root / "samples.csv", parts),
            "duplicates_within": {
                split: len(part) - len({x.digest for x in part}) for split, part in parts.items()
            },
            "duplicates_across": _also_in(first, samples),
            "deduplicated": 0,
            "skipped": skipped,
        }
    )
    (root / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def _check_known(samples: list[_Sample], classes: list[str]) -> None:
    for sample in samples:
        if classes and sample.target not in classes:
            raise UserError(
                f"{sample.name} is of class {sample.target}, which the study does not have: give "
                f"it a class of the study ({', '.join(classes[:20])}), or leave it out"
            )


def _also_in(first: Prepared, samples: list[_Sample]) -> list[list[str]]:
    """`SPLIT/NUMBER` of each image of `first` with `test/NAME` of those with the same pixels."""
    names: defaultdict[bytes, list[str]] = defaultdict(list)
    for sample in samples:
        names[sample.digest].append(f"test/{sample.name}")
    return [
        [f"{split}/{number}", *names[digest]]
        for split in SPLITS
        for number, image in enumerate(first.images(split))
        if (digest := _fingerprint(image)) in names
    ]


def _fingerprint(array: Pixels) -> bytes:
    return hashlib.blake2b(array.data, digest_size=16).digest()


def _spool(
    records: Iterable[Record], data: Data, pixels: BinaryIO
) -> tuple[list[_Sample], tuple[int, int, int], list[dict[str, str]]]:
    """Decode all images into `pixels`; returns samples, the common [H, W, C], what was skipped."""
    samples: list[_Sample] = []
    skipped: list[dict[str, str]] = []
    first: tuple[str, tuple[int, ...]] | None = None
    with tqdm(desc="images", unit="", mininterval=1, file=sys.stderr) as progress:
        for decoded in _decoded(records, data):
            progress.update(len(decoded))
            for record, result in decoded:
                if isinstance(result, str):
                    if data.bad_images == "error":
                        raise UserError(
                            f"{record.name} cannot be read as an image ({result}): repair or "
                            f"remove it, or set data.bad_images: skip"
                        )
                    skipped.append({"file": record.name, "reason": result})
                    continue
                array, digest = result
                first = first or (record.name, array.shape)
                if array.shape != first[1]:
                    raise UserError(_mismatch(*first, record.name, array.shape))
                pixels.write(array.data)
                samples.append(
                    _Sample(record.name, record.split, record.target, digest, len(samples))
                )
    if first is None:
        raise UserError(f"none of the {len(skipped)} images can be read: look at one of them")
    height, width, channels = first[1]
    return samples, (height, width, channels), sorted(skipped, key=lambda item: item["file"])


def _mismatch(name: str, shape: Sequence[int], other: str, other_shape: Sequence[int]) -> str:
    if shape[2] != other_shape[2]:
        grey, colour = (name, other) if shape[2] == 1 else (other, name)
        return f"{grey} is grey and {colour} has colour: set data.channels to 1 or 3"
    return (
        f"{name} has {shape[1]}x{shape[0]} pixels and {other} {other_shape[1]}x{other_shape[0]}: "
        f"set data.image_size to bring all to one size"
    )


_Decoded = list[tuple[Record, tuple[Pixels, bytes] | str]]


def _decoded(records: Iterable[Record], data: Data) -> Iterator[_Decoded]:
    """Decode in threads (Pillow releases the GIL), in order, with few tasks under way at once."""
    workers = min(os.cpu_count() or 1, 16)
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[_Decoded]] = deque()
        try:
            for task in _tasks(records):
                pending.append(pool.submit(_decode_all, task, data))
                if len(pending) > workers + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _tasks(records: Iterable[Record]) -> Iterator[list[Record]]:
    task: list[Record] = []
    size = 0
    for record in records:
        task.append(record)
        size += len(record.image) if isinstance(record.image, bytes) else record.image.nbytes
        if len(task) == _TASK_IMAGES or size >= _TASK_BYTES:
            yield task
            task, size = [], 0
    if task:
        yield task


def _decode_all(records: list[Record], data: Data) -> _Decoded:
    return [(record, _decode(record, data)) for record in records]


def _decode(record: Record, data: Data) -> tuple[Pixels, bytes] | str:
    """Pixels [H, W, C] with their digest, or why there are none."""
    try:
        if isinstance(record.image, bytes):
            with Image.open(io.BytesIO(record.image)) as file:
                image: Image.Image = file
                if data.image_size and file.format == "JPEG":
                    # decode at a fraction, still twice the size, which the resizing halves
                    file.draft(None, (2 * data.image_size, 2 * data.image_size))
                if image.getexif().get(_ORIENTATION, 1) != 1:
                    ImageOps.exif_transpose(image, in_place=True)
                array = np.asarray(_fit(_plain(image, data.channels), data.image_size))
        else:
            array = record.image
            if data.image_size or data.channels not in (None, 1 if array.ndim == 2 else 3):
                image = _plain(Image.fromarray(array), data.channels)
                array = np.asarray(_fit(image, data.image_size))
    except UnidentifiedImageError:
        return "no image format that Pillow knows"
    # Pillow's readers raise errors of many kinds on bad bytes
    except Exception as error:
        return str(error) or type(error).__name__
    array = np.ascontiguousarray(array if array.ndim == 3 else array[:, :, None])
    return array, _fingerprint(array)


def _plain(image: Image.Image, channels: Literal[1, 3] | None) -> Image.Image:
    """The image as 8-bit grey (L) or RGB, whichever `channels` asks for or it is already."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
    elif image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        image = Image.alpha_composite(white, colour).convert("L" if grey else "RGB")
    mode = {1: "L", 3: "RGB", None: "L" if image.mode in ("1", "L") else "RGB"}[channels]
    return image if image.mode == mode else image.convert(mode)


def _fit(image: Image.Image, size: int | None) -> Image.Image:
    if size is None or image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def _order(samples: list[_Sample]) -> None:
    samples.sort(key=lambda sample: sample.name)
    for earlier, later in pairwise(samples):
        if earlier.name == later.name:
            raise UserError(f"{later.name} is there twice: give each image a name of its own")


def _complete_split(samples: list[_Sample], data: Data) -> None:
    """Hold out the test and validation splits that the source lacks."""
    given = {sample.split for sample in samples}
    for sample in samples:
        sample.split = sample.split or "train"
    if "test" not in given:
        _hold_out(samples, "test", data.test, data)
    if "val" not in given:
        _hold_out(samples, "val", data.validation, data)


def _hold_out(samples: list[_Sample], split: Split, share: float, data: Data) -> None:
    """Move a share of each stratum of the training images; at least one, but never the last."""
    train = [sample for sample in samples if sample.split == "train"]
    for stratum in _strata(train, data.task):
        stratum.sort(
            key=lambda sample: hashlib.sha256(
                f"{data.split_seed}/{split}/{sample.name}".encode()
            ).digest()
        )
        count = min(max(1, round(share * len(stratum))), len(stratum) - 1)
        for sample in stratum[:count]:
            sample.split = split


def _strata(samples: list[_Sample], task: str) -> list[list[_Sample]]:
    if task == "classification":
        groups: defaultdict[str | float, list[_Sample]] = defaultdict(list)
        for sample in samples:
            groups[sample.target].append(sample)
        return list(groups.values())
    ranked = sorted(samples, key=lambda sample: (sample.target, sample.name))
    bins = min(_TARGET_BINS, max(1, len(ranked) // _TARGET_BINS))
    edges = [len(ranked) * number // bins for number in range(bins + 1)]
    return [ranked[start:end] for start, end in pairwise(edges)]


def _duplicates_across(samples: list[_Sample]) -> list[list[str]]:
    groups: defaultdict[bytes, list[_Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.digest].append(sample)
    return [
        [f"{sample.split}/{sample.name}" for sample in group]
        for group in groups.values()
        if len({sample.split for sample in group}) > 1
    ]


def _without_leaks(samples: list[_Sample]) -> list[_Sample]:
    """Without the training images that validation or test has too, and the validation images
    that test has too."""
    digests = {split: {s.digest for s in samples if s.split == split} for split in SPLITS}
    later: dict[Split | None, set[bytes]] = {
        "train": digests["val"] | digests["test"],
        "val": digests["test"],
        "test": set(),
    }
    return [sample for sample in samples if sample.digest not in later[sample.split]]


def _classes(samples: list[_Sample], data: Data) -> list[str]:
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


def _check_parts(parts: dict[Split, list[_Sample]], classes: list[str]) -> None:
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
    elif len({sample.target for sample in parts["train"]}) == 1:
        raise UserError("every target in train is the same number: there is nothing to learn")
    for split, part in parts.items():
        if not part:
            raise UserError(f"no image is left for {split}: add images")


def _blocks(
    pixels: BinaryIO, samples: list[_Sample], shape: tuple[int, int, int]
) -> Iterator[Pixels]:
    """The samples' pixels in turn, [some, H, W, C]; read, not mapped, so memory stays small."""
    size = math.prod(shape)
    step = max(1, _BLOCK_BYTES // size)
    for start in range(0, len(samples), step):
        block = np.empty((len(samples[start : start + step]), *shape), np.uint8)
        for row, sample in zip(block, samples[start : start + step], strict=True):
            pixels.seek(sample.place * size)
            pixels.readinto(row.data)  # type: ignore[attr-defined]
        yield block


def _counting(blocks: Iterator[Pixels], histogram: NDArray[np.int64]) -> Iterator[Pixels]:
    """Add up how often each channel has each value: exact, whatever the number of images."""
    for block in blocks:
        for channel, counts in enumerate(histogram):
            counts += np.bincount(block[..., channel].ravel(), minlength=256)
        yield block


def _moments(histogram: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and population standard deviation of each channel, for pixels scaled to 0..1."""
    values = np.arange(256)
    total = histogram.sum(axis=1)
    mean = histogram @ values / total
    variance = histogram @ values**2 / total - mean**2
    return (mean / 255).tolist(), (np.sqrt(variance) / 255).tolist()


def _write_images(path: Path, blocks: Iterator[Pixels], shape: tuple[int, ...]) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.data)


def _targets(samples: list[_Sample], classes: list[str]) -> NDArray[np.int64] | NDArray[np.float32]:
    if not classes:
        return np.array([sample.target for sample in samples], np.float32)
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index[str(sample.target)] for sample in samples], np.int64)


def _digest(table: Path, parts: dict[Split, list[_Sample]]) -> str:
    digest = hashlib.sha256(table.read_bytes())
    for part in parts.values():
        for sample in part:
            digest.update(sample.digest)
    return digest.hexdigest()


def _write_table(path: Path, parts: dict[Split, list[_Sample]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["split", "index", "name", "target"])
        for split, part in parts.items():
            table.writerows(
                [split, index, sample.name, sample.target] for index, sample in enumerate(part)
            )
