"""A network as it is trained, saved and loaded: input, body, head."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision.errors import UserError
from vision.nets import BODIES
from vision.nets.stem import keep_resolution


@dataclass(frozen=True)
class Input:
    """What a network expects, and how pixels become it."""

    channels: int
    height: int
    width: int
    mean: list[float]
    std: list[float]
    """A value a channel, for pixels scaled to 0..1."""
    interpolation: str = "bilinear"

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels [N, C, H, W] of 0..255, of any size and dtype, to normalised float32 input.

        Grey pixels are repeated for a network of three channels. Runs on the pixels' device.
        """
        x = pixels.float()
        size = (self.height, self.width)
        if x.shape[2:] != size:
            x = F.interpolate(x, size, mode=self.interpolation, antialias=True).clamp_(0, 255)
        # a channel that never varies has no deviation
        both = torch.tensor([self.mean, [value or 1.0 for value in self.std]])[..., None, None]
        mean, std = (both * 255).to(x.device, non_blocking=True)
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a body again."""

    net: str
    """A name of `vision.nets.BODIES`, or timm/NAME."""
    args: dict[str, Any] = field(default_factory=dict)
    """Its arguments; of timm/NAME, further ones of timm.create_model."""
    stem: str = "large"
    """small: the first layer of timm/NAME is changed to keep the resolution."""


class Head(nn.Sequential):
    """Layers that run in fp32 under autocast too: the eight bits of bf16 are too few for logits,
    which tie, and for numbers to predict."""

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            outputs: Tensor = super().forward(features.float())
        return outputs


class Network(nn.Module):
    """`body` turns input into features [N, F], `head` turns features into outputs [N, K]."""

    def __init__(self, body: nn.Module, expects: Input, outputs: int, dropout: float) -> None:
        super().__init__()
        self.body = body
        blank = torch.zeros(1, expects.channels, expects.height, expects.width)
        with torch.no_grad():
            features = body.eval()(blank)
        if features.ndim != 2:
            raise UserError(
                f"its features have the shape {tuple(features.shape[1:])}: with other args, they "
                "must be one vector an image"
            )
        self.head = Head(nn.Dropout(dropout), nn.Linear(features.shape[1], outputs))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.body(x))
        return outputs

    def train(self, mode: bool = True) -> "Network":
        """Training mode, except for modules whose parameters are all frozen: their BatchNorm
        statistics and stochastic depth stay as in evaluation."""
        super().train(mode)
        for module in self.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self


def build_body(architecture: Architecture, expects: Input) -> nn.Module:
    """A body with random weights from torch's global generator: input to features [N, F].

    Raises:
        UserError: timm has no such network, it does not take the arguments, the stem of a network
            cannot be small, or the images are too small.
    """
    net, args = architecture.net, architecture.args
    if not net.startswith("timm/"):
        return BODIES[net](expects.channels, expects.height, expects.width, **args)
    import timm  # takes seconds, and only some networks need it

    name = net.removeprefix("timm/")
    if not timm.is_model(name):
        near = get_close_matches(name.split(".")[0], timm.list_models())
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists them"
        raise UserError(f"{net}: timm has no such network; {hint}")
    try:
        body: nn.Module = timm.create_model(name, num_classes=0, in_chans=expects.channels, **args)
    except Exception as error:  # an unknown tag, or arguments that the network does not take
        raise UserError(f"{net} cannot be built with args {args}: {error}") from error
    if architecture.stem == "small":
        keep_resolution(net, body)
    return body


def count_parameters(network: nn.Module, trainable: bool = False) -> int:
    """Parameters, all or those that are trained."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable)
