"""The schema of params.yaml, and the only reader of it.

Every key is checked before any work starts: an unknown key, a missing one or a value of the wrong
kind is refused with its place in the file and, where there is one, the nearest known key.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from vision.errors import UserError

Fraction = Annotated[float, Field(ge=0, lt=1)]
Labels = Literal["all"] | PositiveInt


class Section(BaseModel):
    """A mapping of params.yaml: unknown keys and silent conversions are errors."""

    model_config = ConfigDict(frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, content: Any) -> Any:
        unknown = (
            [key for key in content if key not in cls.model_fields]
            if isinstance(content, dict)
            else []
        )
        if unknown:
            hints = [
                f"{key!r} is not a known key{_nearest(key, cls.model_fields)}" for key in unknown
            ]
            raise ValueError("; ".join(hints))
        return content


class Data(Section):
    """Where the images come from and how they are packed."""

    source: Literal["digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "folder", "utkface"]
    path: str
    """A copy of the source's files: a folder, an archive, or a downloaded file's folder."""
    task: Literal["classification", "regression"] = "classification"
    unit: str = ""
    """Unit of a regression target, as the page shows it."""
    age_groups: list[PositiveInt] | None = None
    """utkface as classification: ascending edges; [18, 40] makes 0-17, 18-39, 40+."""
    image_size: PositiveInt | None = None
    """Side in pixels; null keeps the images' own size, which they must then share."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 RGB; null takes what the first image has."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training images held out where the source has no validation split."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of all images held out where the source has no test split."""
    split_seed: NonNegativeInt = 0
    bad_images: Literal["error", "skip"] = "error"
    deduplicate: bool = False
    """Take images out of training (and validation) that are byte for byte in a later split too."""
    extra_tests: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], str] = {}
    """Further test sets by name, each a folder or an archive in the layout of your own images (of
    one with splits, the test split): measured beside the first, with the drop."""

    @model_validator(mode="after")
    def _check(self) -> "Data":
        if self.age_groups is not None and sorted(set(self.age_groups)) != self.age_groups:
            raise ValueError("age_groups must rise, each edge once")
        grouped = self.source == "utkface" and self.task == "classification"
        if grouped and not self.age_groups:
            raise ValueError("utkface as classification needs age_groups, such as [18, 40, 60]")
        if self.age_groups is not None and not grouped:
            raise ValueError("age_groups belong to source: utkface with task: classification")
        if self.task == "regression" and self.source not in ("folder", "utkface"):
            raise ValueError(f"source: {self.source} has classes; use task: classification")
        return self


class Augment(Section):
    """Random changes of each training image, drawn anew each epoch. All off by default."""

    flip: bool | Literal["alternating"] = False
    """Mirror left to right with probability one half; alternating: half of the images at first,
    and then each in every other epoch (arXiv 2404.00498)."""
    crop: NonNegativeInt = 0
    """Pad by this many pixels (by reflection) and crop back at a random place."""
    shift: Fraction = 0.0
    """Move by up to this share of the side, along each axis."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to this many degrees, either way."""
    zoom: Fraction = 0.0
    """Scale by a factor between 1 - zoom and 1 + zoom."""
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of erasing one rectangle (random erasing, arXiv 1708.04896)."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Blend each image with another; the shares are drawn from Beta(mixup, mixup) (arXiv
    1710.09412). With cutmix too, each image gets one of the two."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """Paste a rectangle of another image into each; the area is drawn from Beta(cutmix, cutmix)
    (arXiv 1905.04899)."""


class SGD(Section):
    name: Literal["sgd"]
    lr: PositiveFloat
    momentum: Fraction = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Adam(Section):
    name: Literal["adam", "adamw"]
    lr: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Others(Section):
    """SGD with Nesterov momentum, for the parameters that Muon is not for."""

    lr: PositiveFloat
    """Of the head."""
    bias_lr: PositiveFloat
    """Of the body's biases, scales and shifts."""
    momentum: Fraction = 0.85
    weight_decay: Fraction = 0.0
    """The share of these parameters that a step at the full rate takes away."""


class Muon(Section):
    """Orthogonalised momentum for the matrices and convolutions of the body, whose norm is held at
    that of an orthogonal matrix (arXiv 2404.00498 and its author's airbench94_muon)."""

    name: Literal["muon"]
    lr: PositiveFloat
    momentum: Fraction = 0.6
    others: Others


Optimizer = Annotated[SGD | Adam | Muon, Field(discriminator="name")]


class Constant(Section):
    name: Literal["constant"]


class Step(Section):
    """Multiply the rate by `gamma` every `step_size` epochs."""

    name: Literal["step"]
    step_size: PositiveInt
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Linear(Section):
    """From the full rate to zero along a line."""

    name: Literal["linear"]


class Cosine(Section):
    """From the full rate to zero along half a cosine (arXiv 1608.03983)."""

    name: Literal["cosine"]


class OneCycle(Section):
    """A linear rise over the share `warmup` of all steps, then a linear fall (arXiv 1708.07120)."""

    name: Literal["one_cycle"]
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.25


class Plateau(Section):
    """Multiply the rate by `factor` when the validation loss has not improved for more than
    `patience` epochs."""

    name: Literal["reduce_on_plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: NonNegativeInt = 3
    min_lr: Annotated[float, Field(ge=0)] = 0.0


Schedule = Annotated[
    Constant | Step | Linear | Cosine | OneCycle | Plateau, Field(discriminator="name")
]


class Recipe(Section):
    """One phase of training."""

    epochs: NonNegativeInt
    min_steps: NonNegativeInt = 0
    """Where labels are few, each epoch goes over them as often as it takes to come to this many
    steps in all."""
    batch_size: PositiveInt = 128
    accumulate: PositiveInt = 1
    """Parts in which a batch goes through the network, one after the other, so that it needs less
    memory: the same steps, but that BatchNorm sees the parts."""
    optimizer: Optimizer
    schedule: Schedule = Constant(name="constant")
    loss: Literal["cross_entropy", "l1", "l2", "huber"] | None = None
    """null: cross_entropy for classes, l2 for numbers."""
    label_smoothing: Fraction = 0.0
    balance: Literal["weights", "sampling"] | None = None
    """Where some classes have more images than others. weights: each class counts the same in the
    loss; sampling: each is drawn as often in an epoch, its images again and again or not all."""
    clip: PositiveFloat | None = None
    """The largest norm of a step's gradient (arXiv 1211.5063)."""
    stem_epochs: PositiveInt | None = None
    """Epochs after which the network's first layer is trained no further."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay, a step, of an exponential moving average of the weights; the average is then what is
    validated and kept."""
    early_stopping: PositiveInt | None = None
    """Stop after this many epochs without a better validation score."""
    augment: Augment = Augment()


class CNN(Section):
    """Arguments of `net: cnn`: a stack of blocks, then global average pooling."""

    depth: Annotated[int, Field(ge=1, le=8)] = 3
    """Blocks of one convolution each."""
    filters: PositiveInt = 32
    """Of the first block; each block has twice as many as the one before, up to 512."""
    kernel: Literal[3, 5, "mixed"] = 3
    """Side of the convolutions; mixed: 3 for half of the filters and 5 for the others."""
    activation: Literal["relu", "leaky_relu", "elu", "gelu"] = "relu"
    skip: bool = False
    """Add a block's input to what its convolution makes of it."""
    downsample: Literal["pooling", "strides"] = "pooling"
    """How a block halves the image: by max pooling, or by the stride of its convolution."""
    batchnorm: bool = True
    grey: bool = False
    """Look at the brightness of colour images alone."""


NETS = ("simple_cnn", "vgg10", "resnet20", "speednet", "cnn")
ARGUMENTS: dict[str, type[Section]] = {"cnn": CNN}
"""What the arguments of a network must fit, for those of this project that take any."""


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
            _leave_the_rest_to_us(self.args)
            return self
        if self.net not in NETS:
            raise ValueError(
                f"net {self.net!r} is not one of this project{_nearest(self.net, NETS)}; "
                "networks of timm are timm/NAME"
            )
        if self.stem == "small":
            raise ValueError(f"stem: small is for networks of timm, and {self.net} needs none")
        if self.args and self.net not in ARGUMENTS:
            raise ValueError(f"{self.net} takes no args")
        _complete(self.net, self.args)
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The network's arguments, those at their default included."""
        return _complete(self.net, self.args)


class HeadRecipe(Recipe):
    """The phase that trains the head on the frozen backbone."""

    views: PositiveInt | None = None
    """What is frozen in front is run once over this many augmented views of each image, which
    the epochs then take in turn; null: at every step, or once where images are not augmented."""

    @model_validator(mode="after")
    def _caches_whole_images(self) -> "HeadRecipe":
        if self.views and (self.augment.mixup or self.augment.cutmix):
            raise ValueError("views are of single images: leave out mixup and cutmix, or views")
        return self


class Finetune(HeadRecipe):
    """The phase that trains the backbone's last layers with the head."""

    layers: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The last share of the backbone's layers that is trained; 1 is all of them."""
    batchnorm: Literal["frozen", "trained"] = "trained"
    """frozen: keep the pretrained statistics, scale and shift in every layer."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate for each layer further from the head (arXiv 1801.06146)."""


class Transfer(Section):
    """A pretrained backbone with a new head: `head` trains the head on the frozen backbone,
    `finetune` trains the last layers too; with both, the head comes first."""

    backbone: str
    """timm/NAME, or a folder that holds a model of this project."""
    weights: str | None = "pretrained"
    """pretrained: the folder's own, or the hub's; a .safetensors or .pth file; null: random."""
    args: dict[str, Any] = {}
    """Further arguments of timm.create_model."""
    image_size: PositiveInt | None = None
    """Side to which images are resized on the device; null keeps the prepared size."""
    dropout: Fraction = 0.0
    """Before the new head."""
    head: HeadRecipe | None = None
    finetune: Finetune | None = None

    @field_validator("args")
    @classmethod
    def _are_free(cls, args: dict[str, Any]) -> dict[str, Any]:
        _leave_the_rest_to_us(args)
        return args

    @model_validator(mode="after")
    def _has_a_phase(self) -> "Transfer":
        if self.head is None and self.finetune is None:
            raise ValueError("give `head` (frozen backbone), `finetune`, or both")
        return self


def _complete(net: str, args: dict[str, Any]) -> dict[str, Any]:
    section = ARGUMENTS.get(net)
    if section is None:
        return args
    try:
        return section.model_validate(args).model_dump()
    except ValidationError as error:
        lines = [
            _explain({**fault, "loc": ("args", *fault["loc"])}, {"args": args})
            for fault in error.errors(include_url=False)
        ]
        raise ValueError("; ".join(lines)) from None


def _leave_the_rest_to_us(args: dict[str, Any]) -> None:
    taken = sorted({"pretrained", "num_classes", "in_chans"} & set(args))
    if taken:
        raise ValueError(f"args {', '.join(taken)}: set by the pipeline; use weights for weights")


def _kind(entry: Any) -> str:
    transfer = isinstance(entry, Transfer) or (isinstance(entry, dict) and "backbone" in entry)
    return "transfer" if transfer else "scratch"


Model = Annotated[
    Annotated[Scratch, Tag("scratch")] | Annotated[Transfer, Tag("transfer")],
    Discriminator(_kind),
]


class Runtime(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    determinism: bool = True
    """Kernels that give the same bytes at every run; false allows faster ones on CUDA."""
    compile: bool = False
    """torch.compile: minutes of warm-up, which long trainings earn back."""


Corruption = Literal["gaussian_noise", "gaussian_blur", "contrast", "brightness", "jpeg"]
Strength = Annotated[int, Field(ge=1, le=5)]


class Corruptions(Section):
    """Test images made worse, on which every run at the largest labels setting is scored again."""

    images: PositiveInt = 500
    """Of the test split; the same ones for every run."""
    kinds: Annotated[list[Corruption], Field(min_length=1)] = list(get_args(Corruption))
    strengths: Annotated[list[Strength], Field(min_length=1)] = list(range(1, 6))


class Evaluation(Section):
    views: Literal["plain", "flip", "flip_shift"] = "plain"
    """What predictions are the mean over: the image; the image and its mirror image; and
    these moved by one pixel along both diagonals too, at half the weight (arXiv 2404.00498)."""
    tolerance: PositiveFloat | None = None
    """Of a number to predict: the error up to which a prediction counts as right, in the target's
    unit. The share of these is the cumulative score, for ages by custom at 5."""
    corruptions: Corruptions | None = None
    """{images: 500} for every kind and strength: 25 times 500 predictions a run."""


LOWER_IS_BETTER = {"loss", "mae", "rmse"}
MEASURED = {
    "classification": ("accuracy", "loss", "precision", "recall", "f1"),
    "regression": ("mae", "rmse", "r2"),
}
"""What evaluate computes on validation, by task."""


class Select(Section):
    """How the winner is chosen: by a measure on validation, mean over the seeds."""

    metric: Literal["accuracy", "loss", "precision", "recall", "f1", "mae", "rmse", "r2"]
    higher_is_better: bool | None = None
    """Follows from the metric; given, it must agree."""

    @property
    def higher(self) -> bool:
        return self.metric not in LOWER_IS_BETTER

    @model_validator(mode="after")
    def _agrees(self) -> "Select":
        if self.higher_is_better not in (None, self.higher):
            better = "higher" if self.higher else "lower"
            raise ValueError(
                f"{better} is better for {self.metric}: leave higher_is_better out, "
                f"or set it to {str(self.higher).lower()}"
            )
        return self


class Params(Section):
    """The whole of params.yaml."""

    study: str
    """The study's name, as the page shows it."""
    data: Data
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    labels_per_class: Annotated[list[Labels], Field(min_length=1)]
    scratch: list[str]
    transfer: list[str]
    models: dict[str, Model]
    evaluation: Evaluation
    runtime: Runtime
    select: Select | None = None
    """null: accuracy for classes, the mean absolute error for numbers."""
    baseline: str | None = None
    """The model whose variants the page ranks: those of the same net or backbone."""

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for key, kind in (("scratch", Scratch), ("transfer", Transfer)):
            for name in getattr(self, key):
                if name not in self.models:
                    near = _nearest(name, self.models)
                    raise ValueError(f"{key} names {name!r}, but models has no such entry{near}")
                if not isinstance(self.models[name], kind):
                    other = "transfer" if key == "scratch" else "scratch"
                    raise ValueError(f"{key} names {name!r}, which belongs under {other}")
        if not self.names:
            raise ValueError("scratch and transfer are both empty: name at least one model")
        for key in ("seeds", "labels_per_class", "scratch", "transfer"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} names something twice: {values}")
        if self.baseline is not None and self.baseline not in self.names:
            near = _nearest(self.baseline, self.names)
            raise ValueError(f"baseline: {self.baseline!r} is not a model of the study{near}")
        if self.select and self.select.metric not in MEASURED[self.data.task]:
            known = ", ".join(MEASURED[self.data.task])
            raise ValueError(
                f"select.metric: {self.select.metric} is not measured in {self.data.task}; "
                f"known: {known}"
            )
        if self.data.task == "regression" and self.labels_per_class != ["all"]:
            raise ValueError("labels_per_class must be [all] for regression")
        if self.evaluation.tolerance is not None and self.data.task != "regression":
            raise ValueError("evaluation.tolerance is for task: regression")
        for name, model in self.models.items():
            for recipe in phases(model).values():
                classes = recipe.loss == "cross_entropy"
                if recipe.loss and classes != (self.data.task == "classification"):
                    raise ValueError(
                        f"models.{name}: loss {recipe.loss} is not for {self.data.task}"
                    )
                if recipe.balance and self.data.task == "regression":
                    raise ValueError(f"models.{name}: balance is for classes")
                if recipe.balance == "sampling" and recipe.augment.flip == "alternating":
                    raise ValueError(
                        f"models.{name}: flip: alternating wants each image once an epoch; with "
                        "balance: sampling, set flip: true"
                    )
                if recipe.accumulate > recipe.batch_size:
                    raise ValueError(
                        f"models.{name}: accumulate {recipe.accumulate} parts cannot be made of a "
                        f"batch of {recipe.batch_size}"
                    )
        return self

    @property
    def names(self) -> list[str]:
        """Every model of the study, scratch first."""
        return [*self.scratch, *self.transfer]

    @property
    def settings(self) -> list[Labels]:
        """The labels settings, the largest first."""
        return sorted(self.labels_per_class, key=lambda x: -math.inf if x == "all" else -x)

    @property
    def runs(self) -> list["Run"]:
        """Every training run of the study, in the order of the page."""
        return [
            Run(model, labels, seed)
            for model in self.names
            for labels in self.labels_per_class
            for seed in self.seeds
        ]


@dataclass(frozen=True)
class Run:
    """One trained model of the study."""

    model: str
    labels: Labels
    seed: int

    def __str__(self) -> str:
        return f"{self.model} {self.labels}-{self.seed}"

    def under(self, root: Path) -> Path:
        """Its folder below `root` (models, reports/training, reports/evaluation)."""
        return root / self.model / f"{self.labels}-{self.seed}"


def phases(model: Scratch | Transfer) -> dict[str, Recipe]:
    """The model's training phases by name, in the order in which they run."""
    if isinstance(model, Scratch):
        return {"train": model}
    found = {"head": model.head, "finetune": model.finetune}
    return {name: recipe for name, recipe in found.items() if recipe is not None}


class Loader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 does, and so DVC, which writes 0.00001 as 1e-05: PyYAML, by YAML
    1.1, takes that for text."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the params file.

    Raises:
        UserError: the file is missing or breaks the schema; one line per fault.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: cp studies/digits.yaml {path}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    return check(content, str(path))


def check(content: Any, name: str = "params.yaml") -> Params:
    """Check already-parsed content; `name` is what messages call it."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        lines = [_explain(fault, content) for fault in error.errors(include_url=False)]
        raise UserError("\n".join(f"{name}: {line}" for line in lines)) from None


def _explain(fault: Any, content: Any) -> str:
    """One line for a pydantic fault, with its place as the file's own keys."""
    keys: list[str] = []
    node = content
    for part in fault["loc"]:
        # pydantic puts the tags of unions (scratch, sgd) among the keys
        if isinstance(node, list) or (isinstance(node, dict) and part in node):
            node = node[part]
            keys.append(str(part))
    if fault["type"] == "missing":
        return f"{'.'.join([*keys, fault['loc'][-1]])} is missing"
    place = ".".join(keys)
    if fault["type"] == "value_error":
        return f"{place}: {fault['ctx']['error']}" if place else str(fault["ctx"]["error"])
    if fault["type"] == "union_tag_invalid":
        tag = fault["ctx"]["tag"]
        return f"{place}: {tag!r} is not one of {fault['ctx']['expected_tags']}"
    given = fault["input"]
    if isinstance(given, str) and _is_number(given):
        return f"{place}: {given!r} is text; write the number without quotes"
    return f"{place}: {fault['msg']}, not {given!r}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
