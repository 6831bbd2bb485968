"""Images made worse in the ways, and to the degrees, of the field's benchmarks.

The kinds and their strengths are those of CIFAR-10-C and ImageNet-C (Hendrycks and Dietterich,
arXiv 1903.12261), applied to the prepared pixels.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from vision.params import Corruption, Corruptions

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

PART = 256
"""Images that are changed at a time, as numbers four times the size of their pixels."""
LARGE = 128
"""From this side on, in pixels, strengths are ImageNet-C's (made for 224), below it CIFAR-10-C's
(made for 32)."""
STRENGTHS: dict[Corruption, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "gaussian_blur": ((0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6)),
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "jpeg": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
}
"""For small images and for large ones, strength 1 to 5: standard deviations of the noise and, in
pixels, of the blur; the share of the contrast that is left; what is added to the brightness; the
quality."""


def robustness(
    score: Callable[[Pixels], float], images: Pixels, asked: Corruptions
) -> dict[str, Any]:
    """Score a model on images as they are and with each corruption.

    Args:
        score: what the model reaches on images, uint8 [N, H, W, C].

    Returns:
        images, their number; clean, the score on them as they are; corrupted, the score by kind and
        strength.
    """
    return {
        "images": len(images),
        "clean": score(images),
        "corrupted": {
            kind: {str(s): score(corrupt(images, kind, s)) for s in asked.strengths}
            for kind in asked.kinds
        },
    }


def corrupt(images: Pixels, kind: Corruption, strength: int) -> Pixels:
    """Images [N, H, W, C] with this corruption; always the same noise for the same shape."""
    amount = STRENGTHS[kind][max(images.shape[1:3]) >= LARGE][strength - 1]
    if kind == "jpeg":
        return np.stack([_jpeg(image, int(amount)) for image in images])
    generator, found = np.random.default_rng(0), np.empty_like(images)
    for start in range(0, len(images), PART):
        part = images[start : start + PART].astype(np.float32) / np.float32(255)
        changed = np.clip(CHANGES[kind](part, amount, generator), 0, 1)
        found[start : start + PART] = (changed * 255).astype(np.uint8)
    return found


def _noise(x: Floats, deviation: float, generator: np.random.Generator) -> Floats:
    return x + np.float32(deviation) * generator.standard_normal(x.shape, np.float32)


def _blur(x: Floats, deviation: float, _: np.random.Generator) -> Floats:
    blurred: Floats = gaussian_filter(x, (0, deviation, deviation, 0), mode="nearest")
    return blurred


def _contrast(x: Floats, left: float, _: np.random.Generator) -> Floats:
    mean = x.mean(axis=(1, 2), keepdims=True)
    return mean + np.float32(left) * (x - mean)


def _brightness(x: Floats, more: float, _: np.random.Generator) -> Floats:
    """More of the largest channel, which is the value of HSV; hue and saturation stay."""
    value = x.max(axis=3, keepdims=True)
    lighter = np.minimum(value + np.float32(more), 1)
    return np.where(value > 0, x * lighter / np.maximum(value, 1e-6), lighter)


def _jpeg(image: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
        buffer, "JPEG", quality=quality
    )
    return np.asarray(Image.open(buffer)).reshape(image.shape)


CHANGES: dict[Corruption, Callable[[Floats, float, np.random.Generator], Floats]] = {
    "gaussian_noise": _noise,
    "gaussian_blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
}
