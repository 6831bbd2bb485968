"""Figures that show images: samples of the data, and those on which the winner errs most."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from vision.evaluation.results import Study
from vision.evaluation.suspects import suspects
from vision.reporting.style import FONTS, HEAD, WIDTH, shorten
from vision.reporting.words import plural, target

SIDE = 64
"""Larger images are scaled down to this many pixels, so that the page stays small."""
MEANT, FEWEST = 2000, 20
"""Mean images are of this many in all, but of no fewer in one."""
CLASSES = 60
"""Classes of which images are shown, at most."""
FIFTHS = 5
SUSPECTS = 12
"""Images shown that no run gets right."""
GLOW = (255, 120, 0)
HEAT = 0.7
"""Colour of a map over its image, and the opacity of its highest value."""


@dataclass(frozen=True)
class Picture:
    pixels: NDArray[np.uint8]
    """[H, W, C]."""
    seen: NDArray[np.uint8] | None = None
    """A coarse map [h, w] to lay over it."""


@dataclass(frozen=True)
class Group:
    """Pictures side by side under a few lines of text."""

    pictures: Sequence[Picture]
    caption: Sequence[str]


def samples(study: Study) -> str:
    """Training images: the first few of each class (of CLASSES at most), or numbers from the
    least to the greatest."""
    images, targets = study.prepared.images("train"), study.prepared.targets("train")
    classes = study.prepared.manifest.classes
    if not classes:
        order = np.argsort(targets, kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, min(24, len(order))).astype(int)]
        return _grid([Group([Picture(images[i])], [_number(study, targets[i])]) for i in chosen], 6)
    each, columns = (6, 2) if len(classes) <= 20 else (2, 5)
    groups = [
        Group([Picture(images[i]) for i in np.flatnonzero(targets == index)[:each]], [name])
        for index, name in enumerate(classes[:CLASSES])
    ]
    return _grid(groups, columns, each)


def means(study: Study) -> str:
    """The mean training image of each class (of CLASSES at most), or of each fifth of the
    images by their target."""
    images, targets = study.prepared.images("train"), study.prepared.targets("train")
    classes = study.prepared.manifest.classes
    if classes:
        parts = [np.flatnonzero(targets == index) for index in range(len(classes[:CLASSES]))]
        captions = [[name] for name in classes[:CLASSES]]
    else:
        parts = np.array_split(np.argsort(targets, kind="stable"), FIFTHS)
        parts = [part for part in parts if len(part)]
        captions = [
            [_number(study, targets[part[0]]), f"to {_number(study, targets[part[-1]])}"]
            for part in parts
        ]
    most = max(FEWEST, MEANT // len(parts))
    # evenly from all of a part: what is sorted, by target or by name, has other images at its ends
    steps = [np.linspace(0, len(part) - 1, min(most, len(part))).astype(int) for part in parts]
    groups = [
        Group([Picture(_mean(images, part[step]))], caption)
        for part, step, caption in zip(parts, steps, captions, strict=True)
    ]
    return _grid(groups, 5)


def mistakes(study: Study, model: str) -> str:
    """The test images that the model's first seed got most wrong, each beside what it looked at;
    empty if it made no mistake."""
    run = study.of(model, study.labels[0])[0].run
    found = study.mistakes(run)
    targets, outputs = study.prepared.targets("test"), study.predictions(run, "test")
    images = study.prepared.images("test")
    groups = [
        Group(
            [Picture(images[i]), Picture(images[i], seen)], _answer(study, targets[i], outputs[i])
        )
        for i, seen in zip(found.index, found.seen, strict=True)
    ]
    return _grid(groups, 3, 2) if groups else ""


def missed_by_all(study: Study) -> str:
    """Test images that no run gets right, the most suspicious first; empty if there are none."""
    images, targets = study.prepared.images("test"), study.prepared.targets("test")
    classes = study.prepared.manifest.classes
    groups = []
    for item in suspects(study)[:SUSPECTS]:
        if classes:
            pair = _pair(classes[targets[item.index]], classes[int(item.answer)])
            caption = [*pair, f"{plural(item.runs, 'run')}, p = {item.strength:.2f}"]
        else:
            caption = [_number(study, targets[item.index]), f"→ {_number(study, item.answer)}"]
        groups.append(Group([Picture(images[item.index])], caption))
    return _grid(groups, 4) if groups else ""


def _grid(groups: Sequence[Group], columns: int, each: int = 1) -> str:
    """SVG of groups of up to `each` pictures under a caption, `columns` groups a row."""
    gap, line, pad = 16, 15, 3
    block = (WIDTH - gap * (columns - 1)) / columns
    width = (block - pad * (each - 1)) / each
    if each == 1:
        width = min(width, 84)
    tall, wide, _ = groups[0].pictures[0].pixels.shape
    height = width * tall / wide
    lines = max(len(group.caption) for group in groups)
    step = line * lines + 6 + height + gap
    parts = []
    for number, group in enumerate(groups):
        left, top = (number % columns) * (block + gap), (number // columns) * step
        for row, text in enumerate(group.caption):
            label = escape(shorten(text, int(block / 6.3)))
            parts.append(
                f'<text x="{left:.1f}" y="{top + line * (row + 1) - 3:.1f}">{label}</text>'
            )
        for i, picture in enumerate(group.pictures):
            x, y = left + i * (width + pad), top + line * lines + 3
            place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
            if picture.seen is None:
                parts.append(f'<image {place} href="{_png(picture.pixels)}"/>')
            else:
                parts.append(f'<image {place} href="{_png(_grey(picture.pixels))}"/>')
                parts.append(
                    f'<image {place} preserveAspectRatio="none" style="image-rendering:auto" '
                    f'href="{_png(_glow(picture.seen))}"/>'
                )
    total = -(-len(groups) // columns) * step
    style = f"{HEAD}text{{font:11.5px {FONTS};fill:currentColor}}image{{image-rendering:pixelated}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{total:.0f}" '
        f'viewBox="0 0 {WIDTH} {total:.0f}">\n<style>{style}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _png(pixels: NDArray[np.uint8]) -> str:
    """An image [H, W, C], grey, RGB or RGBA, as a data address."""
    image = Image.fromarray(np.asarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _mean(images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The mean of these images, [H, W, C]."""
    total = np.zeros(images.shape[1:])
    for index in chosen:  # one by one: they may not fit into memory together
        total += images[index]
    return (total / len(chosen)).round().astype(np.uint8)


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image [H, W, C] in grey, [H, W, 1]."""
    return pixels.mean(axis=2, keepdims=True).round().astype(np.uint8)


def _glow(seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A map [h, w] as a colour that covers more the larger it is, RGBA [h, w, 4]."""
    colour = np.broadcast_to(np.array(GLOW, np.uint8), (*seen.shape, 3))
    return np.dstack([colour, (seen * HEAT).round().astype(np.uint8)])


def _answer(study: Study, target: Any, output: NDArray[np.float32]) -> list[str]:
    """What is true and what a run said, in a line or two."""
    manifest = study.prepared.manifest
    if manifest.task == "regression":
        return [_number(study, target), f"→ {_number(study, output[0])}"]
    sure = softmax(output.astype(np.float64)).max()
    pair = _pair(manifest.classes[target], manifest.classes[output.argmax()])
    return [*pair, f"p = {sure:.2f}"]


def _pair(true: str, answer: str) -> list[str]:
    """Short names share a line."""
    if len(true) + len(answer) <= 10:
        return [f"{true} → {answer}"]
    return [true, f"→ {answer}"]


def _number(study: Study, value: float) -> str:
    unit = study.prepared.manifest.unit
    return f"{target(study, float(value))} {unit}".strip()
