"""Images of a source into the packed arrays of vision.prepared."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vision.errors import UserError
from vision.packing.arrays import (
    blocks,
    counting,
    digest_of,
    moments,
    write_images,
    write_table,
)
from vision.packing.decode import fingerprint
from vision.packing.sample import Sample
from vision.packing.split import complete_split, duplicates_across, without_leaks
from vision.packing.spool import spool
from vision.packing.targets import check_parts, class_names, targets_of
from vision.params import Data
from vision.prepared import SPLITS, Manifest, Prepared, Split
from vision.sources.record import Record


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
            there twice, or a class has no training image, or none that can be read.
    """
    scratch = root / "pixels.tmp"
    try:
        with scratch.open("w+b") as pixels:
            samples, shape, skipped = spool(records, data, pixels)
            complete_split(samples, data)
            across = duplicates_across(samples)
            kept = without_leaks(samples) if data.deduplicate else samples
            classes = class_names(kept, data)
            parts = {split: [s for s in kept if s.split == split] for split in SPLITS}
            check_parts(parts, classes)
            histogram = np.zeros((shape[2], 256), np.int64)
            for split, part in parts.items():
                images = blocks(pixels, part, shape)
                if split == "train":
                    images = counting(images, histogram)
                write_images(root / f"{split}.npy", images, (len(part), *shape))
    finally:
        scratch.unlink(missing_ok=True)
    targets = {split: targets_of(part, classes) for split, part in parts.items()}
    for split, values in targets.items():
        np.save(root / f"{split}_targets.npy", values)
    write_table(root / "samples.csv", parts)
    mean, std = moments(histogram)
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
        split_digest=digest_of(root / "samples.csv", parts),
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
            samples, found, skipped = spool(records, data.model_copy(update=size), pixels)
            if found != shape:
                raise UserError(
                    f"the images have {found[1]}x{found[0]} pixels and those of the study "
                    f"{shape[1]}x{shape[0]}: set data.image_size to bring all to one size"
                )
            _check_known(samples, known.classes)
            for sample in samples:
                sample.split = "test"
            images = blocks(pixels, samples, shape)
            write_images(root / "test.npy", images, (len(samples), *shape))
    finally:
        scratch.unlink(missing_ok=True)
    parts: dict[Split, list[Sample]] = {"train": [], "val": [], "test": samples}
    np.save(root / "test_targets.npy", targets_of(samples, known.classes))
    write_table(root / "samples.csv", parts)
    manifest = known.model_copy(
        update={
            "counts": {split: len(part) for split, part in parts.items()},
            "class_counts": {
                split: [sum(x.target == name for x in part) for name in known.classes]
                for split, part in parts.items()
            },
            "split_digest": digest_of(root / "samples.csv", parts),
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


def _check_known(samples: list[Sample], classes: list[str]) -> None:
    for sample in samples:
        if classes and sample.target not in classes:
            raise UserError(
                f"{sample.name} is of class {sample.target}, which the study does not have: give "
                f"it a class of the study ({', '.join(classes[:20])}), or leave it out"
            )


def _also_in(first: Prepared, samples: list[Sample]) -> list[list[str]]:
    """`SPLIT/NUMBER` of each image of `first` with `test/NAME` of those with the same pixels."""
    names: defaultdict[bytes, list[str]] = defaultdict(list)
    for sample in samples:
        names[sample.digest].append(f"test/{sample.name}")
    return [
        [f"{split}/{number}", *names[digest]]
        for split in SPLITS
        for number, image in enumerate(first.images(split))
        if (digest := fingerprint(image)) in names
    ]
