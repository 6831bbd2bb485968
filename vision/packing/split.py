"""Which split each image goes to, and which images are in more than one."""

import hashlib
from collections import defaultdict
from itertools import pairwise

from vision.packing.sample import Sample
from vision.params import Data
from vision.prepared import SPLITS, Split

_TARGET_BINS = 10


def complete_split(samples: list[Sample], data: Data) -> None:
    """Hold out the test and validation splits that the source lacks."""
    given = {sample.split for sample in samples}
    for sample in samples:
        sample.split = sample.split or "train"
    if "test" not in given:
        _hold_out(samples, "test", data.test, data)
    if "val" not in given:
        _hold_out(samples, "val", data.validation, data)


def _hold_out(samples: list[Sample], split: Split, share: float, data: Data) -> None:
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


def _strata(samples: list[Sample], task: str) -> list[list[Sample]]:
    if task == "classification":
        groups: defaultdict[str | float, list[Sample]] = defaultdict(list)
        for sample in samples:
            groups[sample.target].append(sample)
        return list(groups.values())
    ranked = sorted(samples, key=lambda sample: (sample.target, sample.name))
    bins = min(_TARGET_BINS, max(1, len(ranked) // _TARGET_BINS))
    edges = [len(ranked) * number // bins for number in range(bins + 1)]
    return [ranked[start:end] for start, end in pairwise(edges)]


def duplicates_across(samples: list[Sample]) -> list[list[str]]:
    groups: defaultdict[bytes, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.digest].append(sample)
    return [
        [f"{sample.split}/{sample.name}" for sample in group]
        for group in groups.values()
        if len({sample.split for sample in group}) > 1
    ]


def without_leaks(samples: list[Sample]) -> list[Sample]:
    """Without the training images that validation or test has too, and the validation images
    that test has too."""
    digests = {split: {s.digest for s in samples if s.split == split} for split in SPLITS}
    later: dict[Split | None, set[bytes]] = {
        "train": digests["val"] | digests["test"],
        "val": digests["test"],
        "test": set(),
    }
    return [sample for sample in samples if sample.digest not in later[sample.split]]
