"""Pretrained networks: where their weights come from, and which of their layers are trained."""

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from vision import saved
from vision.errors import UserError
from vision.files import sha256
from vision.network import Architecture, Input, build_body
from vision.params import Transfer
from vision.prepared import Manifest


@dataclass(frozen=True)
class Backbone:
    """A body with pretrained weights, and what it takes to build and feed it."""

    body: nn.Module
    architecture: Architecture
    input: Input
    weights: dict[str, str] | None
    """Where the weights came from, and their sha256; null for random ones."""


def load(params: Transfer, data: Manifest) -> Backbone:
    """Build the backbone that `params` name, for images of `data`.

    Raises:
        UserError: there is no such backbone, or its weights cannot be had or do not fit.
    """
    size = (params.image_size or data.height, params.image_size or data.width)
    build = _from_timm if params.backbone.startswith("timm/") else _from_project
    found = build(params, *size)
    if data.channels > found.input.channels:
        raise UserError(f"backbone {params.backbone} takes grey images: set data.channels: 1")
    return found


def _from_project(params: Transfer, height: int, width: int) -> Backbone:
    folder = Path(params.backbone)
    if not folder.is_dir():
        raise UserError(
            f"backbone {params.backbone}: no such folder. Name a folder that holds a model of this "
            "project, or timm/NAME for a network of timm"
        )
    description = saved.describe(folder)
    expects = replace(description.input, height=height, width=width)
    body = build_body(description.architecture, expects)
    weights = None
    if params.weights is not None:
        pretrained = params.weights == "pretrained"
        file = folder / "model.safetensors" if pretrained else Path(params.weights)
        weights = _load_file(body, file, prefix="body.")
    return Backbone(body, description.architecture, expects, weights)


def _from_timm(params: Transfer, height: int, width: int) -> Backbone:
    architecture = Architecture(params.backbone, params.args)
    blank = Input(3, height, width, [0.5] * 3, [0.5] * 3)
    body = build_body(architecture, blank)
    from timm.data import resolve_model_data_config  # takes seconds, as build_body just did

    config = resolve_model_data_config(body)
    expects = replace(
        blank,
        mean=list(config["mean"]),
        std=list(config["std"]),
        interpolation=config["interpolation"],
    )
    weights = None
    if params.weights == "pretrained":
        weights = _load_hub(body, params.backbone.removeprefix("timm/"), params.args)
    elif params.weights is not None:
        weights = _load_file(body, Path(params.weights))
    return Backbone(body, architecture, expects, weights)


def _load_hub(body: nn.Module, name: str, args: dict[str, Any]) -> dict[str, str]:
    import timm  # takes seconds, and only some backbones need it

    config: dict[str, Any] = vars(body)["pretrained_cfg"]
    source = str(config.get("hf_hub_id") or config.get("url") or "")
    try:
        # with its classifier, because only then does timm refuse weights that lack something
        state = timm.create_model(name, pretrained=True, **args).state_dict()
    except Exception as error:  # whatever the hub's client raises: no network, no such file, ...
        raise UserError(
            f"weights of timm/{name} cannot be had from {source or 'the hub'}: "
            f"{type(error).__name__}. Give a local file (weights: path/to/model.safetensors), or "
            "train from random weights on purpose (weights: null)"
        ) from error
    _put(body, state, f"of timm/{name}")
    return {"from": source, "sha256": _digest_state(body.state_dict())}


def _load_file(body: nn.Module, file: Path, prefix: str = "") -> dict[str, str]:
    """Load weights without unpickling code."""
    try:
        state = _read(file)
    except FileNotFoundError:
        raise UserError(
            f"weights {file}: no such file. Put a .safetensors or .pth file there, or train from "
            "random weights on purpose (weights: null)"
        ) from None
    except Exception as error:
        raise UserError(
            f"weights {file} cannot be read as plain tensors ({type(error).__name__}); "
            "save them again as .safetensors"
        ) from error
    state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    _put(body, state, str(file))
    return {"from": file.name, "sha256": sha256(file)}


def _put(body: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Give a body its weights. Entries of `state` that the body lacks (the old classifier) are left
    out; an entry of the body that `state` lacks is an error."""
    own = {k: v for k, v in body.state_dict().items() if not k.endswith("num_batches_tracked")}
    unfit = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if unfit:
        raise UserError(
            f"weights {source} do not fit the backbone: {len(unfit)} of {len(own)} entries are "
            f"missing or have another shape, the first {unfit[0]}. Give weights of this very "
            "network; one with dense layers wants the image_size that it was trained at"
        )
    body.load_state_dict({k: state[k] for k in own}, strict=False)  # but for the batch counters


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return load_file(file)
    from timm.models import load_state_dict  # knows the usual wrappings of .pth files

    state: dict[str, Tensor] = load_state_dict(str(file), weights_only=True)
    return state


def _digest_state(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def layers(body: nn.Module) -> list[list[str]]:
    """Names of the body's parameters by layer, from the input to the features."""
    matcher: Any = getattr(body, "group_matcher", None)  # what timm's networks say of themselves
    if matcher is not None:
        from timm.models import group_parameters

        groups = group_parameters(body, matcher(coarse=False))
        return [groups[key] for key in sorted(groups)]
    named: dict[str, list[str]] = {}
    for name, _ in body.named_parameters():
        named.setdefault(name.split(".")[0], []).append(name)
    return list(named.values())


def first_layer(body: nn.Module) -> list[nn.Parameter]:
    """The parameters of the first layer."""
    named = dict(body.named_parameters())
    return [named[name] for name in layers(body)[0]]


def train_last(body: nn.Module, share: float, batchnorm: str = "trained") -> None:
    """Let the last `share` (0..1) of the body's layers be trained, and freeze the others.

    At least one layer is trained unless `share` is 0. `batchnorm: frozen` keeps every BatchNorm
    of the body as it was pretrained.
    """
    groups = layers(body)
    trained = math.ceil(round(share * len(groups), 6))  # 0.28 * 25 is a little over 7
    names = {name for group in groups[len(groups) - trained :] for name in group}
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name in names)
    if batchnorm == "frozen":
        for module in body.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.requires_grad_(False)


def layer_rates(body: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """Factors on the learning rate: `decay` for the body's last layer, and `decay` times that of
    the layer after it for each before (discriminative fine-tuning, arXiv 1801.06146)."""
    named = dict(body.named_parameters())
    return {
        named[name]: decay**distance
        for distance, names in enumerate(reversed(layers(body)), start=1)
        for name in names
        if decay < 1
    }
