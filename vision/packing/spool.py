"""All images, decoded into one scratch file in bounded memory."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import BinaryIO

from tqdm import tqdm

from vision.errors import UserError
from vision.packing.decode import Decoded, decode
from vision.packing.sample import Sample
from vision.params import Data
from vision.sources.record import Record

_TASK_IMAGES = 64
_TASK_BYTES = 4 << 20

_Batch = list[tuple[Record, Decoded | str]]


def spool(
    records: Iterable[Record], data: Data, pixels: BinaryIO
) -> tuple[list[Sample], tuple[int, int, int], list[dict[str, str]]]:
    """Decode all images into `pixels`; returns samples in the order of their names, the common
    [H, W, C], and what was skipped.

    Raises:
        UserError: an image is unreadable or of another size or kind than the others, all of a
            class are skipped, or a name is there twice.
    """
    samples: list[Sample] = []
    skipped: list[dict[str, str]] = []
    skipped_targets: list[str | float] = []
    first: tuple[str, tuple[int, ...]] | None = None
    with tqdm(desc="images", unit="", mininterval=1, file=sys.stderr) as progress:
        for batch in _decoded(records, data):
            progress.update(len(batch))
            for record, result in batch:
                if isinstance(result, str):
                    if data.bad_images == "error":
                        raise UserError(
                            f"{record.name} cannot be read as an image ({result}): repair or "
                            f"remove it, or set data.bad_images: skip"
                        )
                    skipped.append({"file": record.name, "reason": result})
                    skipped_targets.append(record.target)
                    continue
                shape = result.pixels.shape
                first = first or (record.name, shape)
                if shape != first[1]:
                    raise UserError(_mismatch(*first, record.name, shape))
                pixels.write(result.pixels.data)
                samples.append(
                    Sample(
                        name=record.name,
                        split=record.split,
                        target=record.target,
                        digest=result.digest,
                        place=len(samples),
                        original=result.original,
                    )
                )
    if first is None:
        raise UserError(f"none of the {len(skipped)} images can be read: look at one of them")
    if data.task == "classification":
        _check_classes(samples, skipped, skipped_targets)
    samples.sort(key=lambda sample: sample.name)
    for earlier, later in pairwise(samples):
        if earlier.name == later.name:
            raise UserError(f"{later.name} is there twice: give each image a name of its own")
    height, width, channels = first[1]
    return samples, (height, width, channels), sorted(skipped, key=lambda item: item["file"])


def _check_classes(
    samples: list[Sample], skipped: list[dict[str, str]], targets: list[str | float]
) -> None:
    """Refuse a class of which every image was skipped: it would be gone without a word."""
    read = {sample.target for sample in samples}
    for image, target in zip(skipped, targets, strict=True):
        if target not in read:
            raise UserError(
                f"none of the {targets.count(target)} images of class {target} can be read, such "
                f"as {image['file']} ({image['reason']}): repair them, or take the class out"
            )


def _mismatch(name: str, shape: Sequence[int], other: str, other_shape: Sequence[int]) -> str:
    if shape[2] != other_shape[2]:
        grey, colour = (name, other) if shape[2] == 1 else (other, name)
        return f"{grey} is grey and {colour} has colour: set data.channels to 1 or 3"
    return (
        f"{name} has {shape[1]}x{shape[0]} pixels and {other} {other_shape[1]}x{other_shape[0]}: "
        f"set data.image_size to bring all to one size"
    )


def _decoded(records: Iterable[Record], data: Data) -> Iterator[_Batch]:
    """Decode in threads (Pillow releases the GIL), in order, with few tasks under way at once."""
    workers = min(os.cpu_count() or 1, 16)
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[_Batch]] = deque()
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


def _decode_all(records: list[Record], data: Data) -> _Batch:
    return [(record, decode(record, data)) for record in records]
