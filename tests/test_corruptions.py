"""Images made worse: to the published degrees, always the same way."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from vision.evaluation.corruptions import LARGE, corrupt, robustness
from vision.params import Corruption, Corruptions

KINDS: tuple[Corruption, ...] = get_args(Corruption)


def pictures(size: int, channels: int = 3) -> NDArray[np.uint8]:
    """Four images with a smooth ramp, stripes and some texture, none near black or white."""
    y, x = np.mgrid[:size, :size]
    ramp = 90 + 60 * x / size + 20 * (y // 4 % 2)
    texture = np.random.default_rng(1).uniform(-15, 15, (4, size, size, channels))
    return (ramp[..., None] + texture).astype(np.uint8)


def distance(images: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.mean((images.astype(float) - other) ** 2)) ** 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [32, LARGE])
@pytest.mark.parametrize("kind", KINDS)
def test_more_strength_is_further_from_the_image(
    kind: Corruption, size: int, channels: int
) -> None:
    images = pictures(size, channels)
    before = images.copy()
    changed = [corrupt(images, kind, strength) for strength in range(1, 6)]
    assert all(x.shape == images.shape and x.dtype == np.uint8 for x in changed)
    distances = [distance(images, x) for x in changed]
    assert distances[0] > 0
    assert distances == sorted(distances)
    assert np.array_equal(images, before)
    assert np.array_equal(changed[2], corrupt(images, kind, 3))


def test_noise_has_its_published_deviation() -> None:
    grey = np.full((8, 32, 32, 3), 128, np.uint8)
    assert distance(corrupt(grey, "gaussian_noise", 1), grey) == pytest.approx(0.04 * 255, rel=0.05)
    large = np.full((2, LARGE, LARGE, 3), 128, np.uint8)
    found = distance(corrupt(large, "gaussian_noise", 1), large)
    assert found == pytest.approx(0.08 * 255, rel=0.05)


def test_contrast_and_brightness_by_hand() -> None:
    images = np.array([[[[100, 50, 0]], [[200, 50, 0]]]], np.uint8)
    # a quarter of the contrast is taken away; the red mean is 150
    assert corrupt(images, "contrast", 1)[0, :, 0].tolist() == [[112, 50, 0], [187, 50, 0]]
    # 0.1 * 255 more of the largest channel, in the same proportions
    bright = corrupt(images, "brightness", 2)[0, :, 0]
    assert bright.tolist() == [[125, 62, 0], [225, 56, 0]]
    black = np.zeros((1, 2, 2, 3), np.uint8)
    assert np.all(corrupt(black, "brightness", 2) == 25)


def test_a_blur_keeps_the_mean_and_does_not_mix_images_or_channels() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, 16, 16, 0] = 255
    blurred = corrupt(images, "gaussian_blur", 5).astype(int)
    assert blurred[0, ..., 0].max() < 60
    assert blurred[0, ..., 0].sum() == pytest.approx(255, rel=0.1)
    assert blurred[0, ..., 1:].sum() == blurred[1].sum() == 0


def test_scores_are_kept_by_kind_and_strength() -> None:
    asked = Corruptions(images=4, kinds=["contrast", "jpeg"], strengths=[1, 5])
    images = pictures(16)
    found = robustness(lambda x: float(x.std()), images, asked)
    assert found["images"] == 4
    assert found["clean"] == images.std()
    assert list(found["corrupted"]) == ["contrast", "jpeg"]
    contrast = found["corrupted"]["contrast"]
    assert found["clean"] > contrast["1"] > contrast["5"]
