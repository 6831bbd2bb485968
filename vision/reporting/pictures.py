"""Figures that show images: samples of the data, and those on which the winner errs most."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vision.evaluation.metrics import confident_mistakes
from vision.evaluation.results import Study
from vision.prepared import Split
from vision.reporting.style import FONTS, HEAD, WIDTH, shorten
from vision.reporting.words import short

SIDE = 64
"""Larger images are scaled down to this many pixels, so that the page stays small."""
SHOWN = 12
"""Mistakes on the page."""


def samples(study: Study) -> str:
    """Training images: the first few of each class, or numbers from the least to the greatest."""
    manifest, targets = study.prepared.manifest, study.prepared.targets("train")
    if manifest.task == "regression":
        order = np.argsort(targets, kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, min(24, len(order))).astype(int)]
        return _grid(study, "train", [([i], [_number(study, targets[i])]) for i in chosen], 6)
    each, columns = (6, 2) if len(manifest.classes) <= 20 else (2, 5)
    groups = [
        (np.flatnonzero(targets == index)[:each].tolist(), [name])
        for index, name in enumerate(manifest.classes)
    ]
    return _grid(study, "train", groups, columns, each)


def mistakes(study: Study, model: str) -> str:
    """The test images that the model's first seed got most wrong; empty if it made no mistake."""
    result = study.of(model, study.labels[0])[0]
    targets = study.prepared.targets("test")
    outputs = study.predictions(result.run, "test")
    if study.prepared.manifest.task == "regression":
        values = outputs.ravel()
        worst = np.argsort(-np.abs(values - targets), kind="stable")[:SHOWN]
        captions = [[_number(study, targets[i]), f"→ {_number(study, values[i])}"] for i in worst]
    else:
        classes = study.prepared.manifest.classes
        worst, sure = confident_mistakes(outputs, targets, SHOWN)
        predicted = outputs.argmax(axis=1)
        pairs = [(classes[targets[i]], classes[predicted[i]]) for i in worst]
        fits = all(len(true) + len(answer) <= 10 for true, answer in pairs)
        captions = [
            [*([f"{true} → {answer}"] if fits else [true, f"→ {answer}"]), f"p = {p:.2f}"]
            for (true, answer), p in zip(pairs, sure, strict=True)
        ]
    groups = [([int(i)], caption) for i, caption in zip(worst, captions, strict=True)]
    return _grid(study, "test", groups, 4) if groups else ""


def _grid(
    study: Study,
    split: Split,
    groups: Sequence[tuple[Sequence[int], Sequence[str]]],
    columns: int,
    each: int = 1,
) -> str:
    """SVG of groups of up to `each` images under a caption, `columns` groups a row."""
    images, manifest = study.prepared.images(split), study.prepared.manifest
    gap, line, pad = 16, 15, 3
    block = (WIDTH - gap * (columns - 1)) / columns
    width = (block - pad * (each - 1)) / each
    if each == 1:
        width = min(width, 84)
    height = width * manifest.height / manifest.width
    lines = max(len(caption) for _, caption in groups)
    step = line * lines + 6 + height + gap
    parts = []
    for number, (indices, caption) in enumerate(groups):
        left, top = (number % columns) * (block + gap), (number // columns) * step
        for row, text in enumerate(caption):
            label = escape(shorten(text, int(block / 6.3)))
            parts.append(
                f'<text x="{left:.1f}" y="{top + line * (row + 1) - 3:.1f}">{label}</text>'
            )
        for i, index in enumerate(indices):
            x, y = left + i * (width + pad), top + line * lines + 3
            parts.append(
                f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'href="{_png(images[index])}"/>'
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
    """An image [H, W, C] as a data address."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.asarray(pixels))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _number(study: Study, value: float) -> str:
    unit = study.prepared.manifest.unit
    return f"{short(float(value))} {unit}".strip()
