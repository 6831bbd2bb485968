"""Predictions: over views, in batches made ahead, of any size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.prepared_data import bright_or_dark
from vision import augment, examples
from vision.examples import NONE, Images, batches
from vision.network import Input
from vision.params import Augment
from vision.predict import predict
from vision.runtime import Compute

CPU = Compute(torch.device("cpu"), "fp32")
INPUT = Input(1, 6, 6, [0.0], [1.0])


class Corner(nn.Module):
    """The pixel at a corner, as the only output."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 0, 0] * 255


@pytest.fixture
def images() -> Images:
    pixels = torch.arange(72, dtype=torch.uint8).view(2, 6, 6, 1)
    return Images(pixels, torch.tensor([0, 1]), INPUT, torch.device("cpu"))


def test_views_are_averaged_with_their_shares(images: Images) -> None:
    def of(views: str) -> list[float]:
        return predict(Corner(), images, CPU, views).flatten().round(decimals=3).tolist()

    assert of("plain") == [0, 36]
    assert of("flip") == [2.5, 38.5]  # columns 0 and 5
    # moved by a pixel either way, the corner shows row 1: column 1, or 4 if mirrored
    moved = [7, 6 + 4, 7, 6 + 4]
    expected = 0.5 * 2.5 + 0.125 * sum(moved)
    assert of("flip_shift") == pytest.approx([expected, expected + 36], abs=1e-3)


def test_batches_made_ahead_are_the_batches(images: Images) -> None:
    changes = Augment(flip=True, crop=2, erase=0.5)
    plan = augment.plan(2, 0, 1, changes)
    indices = [torch.tensor([1]), torch.tensor([0, 1]), torch.tensor([0])]
    direct = list(batches(images, indices, plan, changes))
    ahead = list(batches(replace(images, streamed=True), indices, plan, changes))
    assert len(direct) == len(ahead) == 3
    for one, other in zip(direct, ahead, strict=True):
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        assert torch.equal(one, other)
    assert list(batches(replace(images, streamed=True), [], plan, changes)) == []


def test_an_error_in_a_batch_made_ahead_is_not_lost(images: Images) -> None:
    streamed = replace(images, streamed=True)
    with pytest.raises(IndexError):
        list(batches(streamed, [torch.tensor([0]), torch.tensor([9])], None, NONE))


def test_images_that_fill_memory_are_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = bright_or_dark(tmp_path)
    expects = Input(3, 12, 12, [0.5] * 3, [0.5] * 3)
    assert not examples.load(prepared, "train", expects, CPU).streamed
    monkeypatch.setattr("vision.runtime.available_memory", lambda: 2 * 12 * 12 * 3 * 80)
    streamed = examples.load(prepared, "train", expects, CPU)
    assert streamed.streamed
    assert np.array_equal(streamed.pixels.numpy(), prepared.images("train"))
