"""`models`: networks with their recipes, from random and from pretrained weights."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from vision.params.messages import nearest
from vision.params.networks import ARGUMENTS, NETS, complete, leave_the_rest_to_us
from vision.params.recipe import Recipe
from vision.params.section import Fraction, Section


class Scratch(Recipe):
    """A network trained from random weights."""

    net: str
    """simple_cnn, vgg10, resnet20, speednet, cnn, or timm/NAME."""
    args: dict[str, Any] = {}
    """Of cnn: see CNN. Of timm/NAME: further arguments of timm.create_model."""
    stem: Literal["large", "small"] = "large"
    """small: the first layer of timm/NAME keeps the resolution, for images of a few dozen pixels
    (a 3x3 convolution of stride 1, no pooling); large: as the network is."""
    dropout: Fraction = 0.0
    """Before the last layer."""

    @model_validator(mode="after")
    def _has_a_network(self) -> "Scratch":
        if self.net.startswith("timm/"):
            leave_the_rest_to_us(self.args)
            return self
        if self.net not in NETS:
            raise ValueError(
                f"net {self.net!r} is not one of this project{nearest(self.net, NETS)}; "
                "networks of timm are timm/NAME"
            )
        if self.stem == "small":
            raise ValueError(f"stem: small is for networks of timm, and {self.net} needs none")
        if self.args and self.net not in ARGUMENTS:
            raise ValueError(f"{self.net} takes no args")
        complete(self.net, self.args)
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The network's arguments, those at their default included."""
        return complete(self.net, self.args)


class HeadRecipe(Recipe):
    """The phase that trains the head on the frozen backbone."""

    views: PositiveInt | None = None
    """What is frozen in front is run once over this many augmented views of each image, which
    the epochs then take in turn; null: at every step, or once where images are not augmented."""

    @model_validator(mode="after")
    def _caches_whole_images(self) -> "HeadRecipe":
        if self.views and (self.augment.mixup or self.augment.cutmix):
            raise ValueError("views are of single images: leave out mixup and cutmix, or views")
        if self.views and self.views % 2 and self.augment.flip == "alternating":
            raise ValueError("flip: alternating wants an even number of views, or flip: true")
        return self


class Finetune(HeadRecipe):
    """The phase that trains the backbone's last layers with the head."""

    layers: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The last share of the backbone's layers that is trained; 1 is all of them."""
    batchnorm: Literal["frozen", "trained"] = "trained"
    """frozen: keep the pretrained statistics, scale and shift in every layer."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate for each layer further from the head (arXiv 1801.06146)."""

    @model_validator(mode="after")
    def _decays_by_layer(self) -> "Finetune":
        if self.layer_decay < 1 and self.optimizer.name == "muon":
            raise ValueError("layer_decay is for sgd, adam and adamw: leave it out with muon")
        return self


class Transfer(Section):
    """A pretrained backbone with a new head: `head` trains the head on the frozen backbone,
    `finetune` trains the last layers too; with both, the head comes first."""

    backbone: str
    """timm/NAME, or a folder below backbones/ that holds a model of this project."""
    weights: str | None = "pretrained"
    """pretrained: the folder's own, or the hub's; a .safetensors or .pth file, of which DVC notices
    a change if it lies in backbones/; null: random."""
    args: dict[str, Any] = {}
    """Of timm/NAME: further arguments of timm.create_model."""
    image_size: PositiveInt | None = None
    """Side to which images are resized on the device; null keeps the prepared size."""
    dropout: Fraction = 0.0
    """Before the new head."""
    head: HeadRecipe | None = None
    finetune: Finetune | None = None

    @field_validator("args")
    @classmethod
    def _are_free(cls, args: dict[str, Any]) -> dict[str, Any]:
        leave_the_rest_to_us(args)
        return args

    @model_validator(mode="after")
    def _has_a_phase(self) -> "Transfer":
        if self.head is None and self.finetune is None:
            raise ValueError("give `head` (frozen backbone), `finetune`, or both")
        if self.args and not self.backbone.startswith("timm/"):
            raise ValueError(f"args are for timm/NAME; {self.backbone} has its own")
        return self


def _kind(entry: Any) -> str:
    transfer = isinstance(entry, Transfer) or (isinstance(entry, dict) and "backbone" in entry)
    return "transfer" if transfer else "scratch"


Model = Annotated[
    Annotated[Scratch, Tag("scratch")] | Annotated[Transfer, Tag("transfer")],
    Discriminator(_kind),
]


def phases(model: Scratch | Transfer) -> dict[str, Recipe]:
    """The model's training phases by name, in the order in which they run."""
    if isinstance(model, Scratch):
        return {"train": model}
    found = {"head": model.head, "finetune": model.finetune}
    return {name: recipe for name, recipe in found.items() if recipe is not None}
