"""A trained model on disk: `model.safetensors` and `model.json`, which says how to build it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import torch as safetensors

from vision.errors import UserError
from vision.network import Architecture, Input, Network, build_body


@dataclass(frozen=True)
class Description:
    """All that is needed to build a network again and to read its outputs."""

    kind: str
    """scratch or transfer."""
    backbone: str | None
    weights: dict[str, str] | None
    """Where a backbone's weights came from, and their sha256."""
    architecture: Architecture
    input: Input
    dropout: float
    task: str
    classes: list[str]
    unit: str
    target_mean: float
    target_std: float
    """A regression output times `target_std` plus `target_mean` is in the target's unit."""
    parameters: int
    trainable_parameters: int

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.task == "classification" else 1


def save(folder: Path, network: Network, description: Description) -> None:
    """Write both files; the same network and description give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    # its own writing to files hides a full disk's error, and gives the file to this user alone
    (folder / "model.safetensors").write_bytes(safetensors.save(state))
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")


def describe(folder: Path) -> Description:
    """Read a model's description.

    Raises:
        UserError: the folder holds no model of this project.
    """
    try:
        content: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no model of this project (model.json, model.safetensors)"
        ) from None
    architecture = Architecture(**content.pop("architecture"))
    return Description(architecture=architecture, input=Input(**content.pop("input")), **content)


def load(folder: Path) -> tuple[Network, Description]:
    """Build the network again, with its weights, on the CPU."""
    description = describe(folder)
    body = build_body(description.architecture, description.input)
    network = Network(body, description.input, description.outputs, description.dropout)
    network.load_state_dict(safetensors.load_file(folder / "model.safetensors"))
    return network.eval(), description
