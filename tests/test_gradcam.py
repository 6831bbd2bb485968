"""Maps of what an image's prediction rests on, for networks whose answer is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vision.evaluation import gradcam, mistakes
from vision.evaluation.mistakes import Mistakes
from vision.nets import BODIES
from vision.network import Architecture, Input, Network, build_body
from vision.params import ARGUMENTS

GREY = Input(1, 16, 16, [0.0], [1.0])


class Spots(nn.Module):
    """One feature from bright places and one from dark ones, each counted over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        with torch.no_grad():
            self.convolution.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.convolution(x)).mean((2, 3))


@pytest.fixture
def spots() -> tuple[Network, Tensor]:
    """A network whose output 0 is bright places, and 1 dark ones; an image with one of each."""
    network = Network(Spots(), GREY, 2, 0.0)
    with torch.no_grad():
        network.head.get_parameter("1.weight").copy_(torch.eye(2))
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 2:4, 2:4] = 1
    image[0, 0, 12:14, 12:14] = -1
    return network, image


def test_the_map_shows_what_spoke_for_the_answer(spots: tuple[Network, Tensor]) -> None:
    network, image = spots
    bright, dark = gradcam.maps(network, image.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
    assert bright.shape == (16, 16)
    assert set(zip(*np.nonzero(bright == 255), strict=True)) == {(2, 2), (2, 3), (3, 2), (3, 3)}
    assert set(zip(*np.nonzero(dark), strict=True)) == {(12, 12), (12, 13), (13, 12), (13, 13)}


def test_nothing_is_shown_where_nothing_speaks_for_the_answer(
    spots: tuple[Network, Tensor],
) -> None:
    network, image = spots
    assert gradcam.maps(network, image.clamp(max=0), torch.tensor([0])).max() == 0


TIMM: dict[str, dict[str, Any]] = {
    "timm/mobilenetv3_small_050": {},
    "timm/convnext_atto": {},
    "timm/vit_tiny_patch16_224": {"img_size": 64},
}


@pytest.mark.parametrize("net", [*BODIES, *TIMM])
@pytest.mark.parametrize("outputs", [3, 1])
def test_every_network_has_maps(net: str, outputs: int) -> None:
    torch.manual_seed(0)
    side = 64 if net.startswith("timm/") else 32
    expects = Input(3, side, side, [0.5] * 3, [0.25] * 3)
    args = ARGUMENTS[net]().model_dump() if net in ARGUMENTS else TIMM.get(net, {})
    network = Network(build_body(Architecture(net, args), expects), expects, outputs, 0.1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    inputs = torch.randn(4, 3, side, side)
    answers = torch.arange(4) % outputs
    found = gradcam.maps(network, inputs, answers)
    assert found.dtype == np.uint8
    assert found.shape[0] == 4
    assert 2 <= found.shape[1] == found.shape[2] <= side // 4
    assert (gradcam.maps(network, inputs, answers) == found).all()
    assert all(torch.equal(before[name], x) for name, x in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    # what speaks against an answer speaks for its opposite
    with torch.no_grad():
        network.head.get_parameter("1.weight").neg_()
    assert max(found.max(), gradcam.maps(network, inputs, answers).max()) == 255


def test_heads_of_an_attention_are_no_places() -> None:
    """At 128 pixels a head has 64 features for each of 65 tokens, nearly a square."""
    expects = Input(3, 128, 128, [0.5] * 3, [0.25] * 3)
    args = {"img_size": 128, "qk_norm": True, "depth": 2}
    architecture = Architecture("timm/vit_tiny_patch16_224", args)
    network = Network(build_body(architecture, expects), expects, 2, 0.0)
    found = gradcam.maps(network, torch.randn(1, 3, 128, 128), torch.tensor([0]))
    assert found.shape == (1, 8, 8)


def test_the_worst_come_first() -> None:
    logits = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.99, 0.01]]).astype(np.float32)
    assert mistakes.worst(logits, np.array([1, 0, 1, 1])).tolist() == [3, 0, 1]
    values = np.array([[1.0], [5.0], [2.5]], np.float32)
    targets = np.array([1, 1, 1], np.float32)
    assert mistakes.worst(values, targets).tolist() == [1, 2, 0]


def test_mistakes_are_saved_to_the_same_bytes(tmp_path: Path) -> None:
    made = Mistakes(np.array([4, 2]), np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    made.save(tmp_path)
    before = (tmp_path / mistakes.FILE).read_bytes()
    made.save(tmp_path)
    assert (tmp_path / mistakes.FILE).read_bytes() == before
    found = mistakes.load(tmp_path)
    assert found.index.tolist() == [4, 2]
    assert (found.seen == made.seen).all()
