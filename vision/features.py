"""The outputs of a network's frozen front, computed once and kept in place of the images."""

import shutil
import sys
import tempfile

import torch
from torch import Tensor, nn

from vision import augment, prefix, runtime
from vision.augment import Plan
from vision.errors import UserError
from vision.examples import NONE, Examples, Features, Images
from vision.files import CHECKPOINTS
from vision.network import Network
from vision.params import HeadRecipe, Recipe
from vision.predict import in_order
from vision.runtime import Compute


def shortcut(
    network: Network,
    recipe: Recipe,
    train: Images,
    val: Images,
    seed: int,
    compute: Compute,
    taken: bool | None = None,
) -> tuple[nn.Module, Examples, Examples]:
    """What a phase has to train, and on what: the network on the images, or, where images are not
    augmented or seen in a few views only, what follows the network's frozen front on its outputs.

    Outputs are kept on the device, in main memory or in a file, wherever they take less than half
    of the room; if nowhere, the front runs at every step. Which it is, and how much, is said on
    stderr. Maps of float32 are kept as float16, clamped to its range, so that with room and without
    it the bytes of the result differ a little.

    Args:
        taken: for a phase that is continued, whether it had the room when it began: it goes on in
            the same way.

    Raises:
        UserError: it had the room, and has it no more.
    """
    views = recipe.views if isinstance(recipe, HeadRecipe) else None
    if recipe.epochs == 0 or (recipe.augment != NONE and not views) or taken is False:
        return network, train, val
    parts = prefix.cut(network)
    if parts is None:
        return network, train, val
    front, rest = parts
    few = train.batch(torch.arange(min(4, len(train))), None, NONE)
    if not prefix.agrees(network, front, rest, few):
        return network, train, val
    plans: list[Plan | None] = [None]
    if views and recipe.augment != NONE:
        every = range(1, views + 1)
        made = (augment.plan(len(train), seed, view, recipe.augment) for view in every)
        plans = [plan.to(train.place) for plan in made]
    with torch.no_grad(), compute.autocast():
        blanks = tuple(output[:1] for output in front(few))
    samples = len(train) * len(plans) + len(val)
    size = samples * sum(_kept(blank).nbytes for blank in blanks)
    what = (
        f"frozen layers: outputs of {len(train):,} images in {len(plans)} view(s) and "
        f"{len(val):,} of validation, {size / 1e6:,.1f} MB"
    )
    place = _place(size, compute)
    if place is None and taken:
        raise UserError(
            f"{what}: no room for them, though there was when this training began; make room to "
            f"go on, or delete {CHECKPOINTS} to begin anew"
        )
    if place is None:
        print(f"{what}: no room for them, so that they are computed anew", file=sys.stderr)
        return network, train, val
    print(f"{what}, kept in {place}", file=sys.stderr)

    def features(images: Images, plans: list[Plan | None]) -> Features:
        streamed = place == "file" or (place == "memory" and compute.device.type != "cpu")
        kept = [_run(front, images, plan, recipe, compute, blanks, place) for plan in plans]
        return Features(kept, images.targets, compute.device, streamed)

    return rest, features(train, plans), features(val, [None])


def _place(size: int, compute: Compute) -> str | None:
    """Where so many bytes fit: the device (by its name), memory, a file, or nowhere."""
    device = compute.device.type
    if compute.holds(size):
        return "memory" if device == "cpu" else device
    if size < runtime.available_memory() // 2:
        return "memory"
    return "file" if size < shutil.disk_usage(".").free // 2 else None


def _run(
    front: nn.Module,
    images: Images,
    plan: Plan | None,
    recipe: Recipe,
    compute: Compute,
    blanks: tuple[Tensor, ...],
    place: str,
) -> tuple[Tensor, ...]:
    """The front's outputs [N, ...] for all images in one view."""
    kept = tuple(_room(len(images), _kept(blank), compute, place) for blank in blanks)
    start = 0
    with torch.no_grad():
        for inputs in in_order(images, compute, plan, recipe.augment):
            with compute.autocast():  # not around the augmentation, which wants float32
                outputs = front(inputs)
            for values, output in zip(kept, outputs, strict=True):
                values[start : start + len(output)] = _kept(output)
            start += len(inputs)
    return kept


def _kept(output: Tensor) -> Tensor:
    """As it is kept: vectors as they are, maps in half the bytes."""
    if output.ndim == 2 or output.dtype != torch.float32:
        return output
    most = torch.finfo(torch.float16).max
    return output.clamp(-most, most).half()


def _room(samples: int, blank: Tensor, compute: Compute, place: str) -> Tensor:
    """An empty tensor for the outputs of so many samples, each like `blank` [1, ...]."""
    shape, dtype = (samples, *blank.shape[1:]), blank.dtype
    if place != "file":
        device = compute.device if place == compute.device.type else "cpu"
        return torch.empty(shape, dtype=dtype, device=device)
    CHECKPOINTS.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=CHECKPOINTS) as file:  # gone when the process is
        count = samples * blank.numel()
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
