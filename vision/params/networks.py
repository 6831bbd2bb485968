"""The networks of this project, and the arguments that networks take."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationError

from vision.params.messages import explain
from vision.params.section import Section


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


def complete(net: str, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments with those at their default.

    Raises:
        ValueError: the network knows no such argument or value.
    """
    section = ARGUMENTS.get(net)
    if section is None:
        return args
    try:
        return section.model_validate(args).model_dump()
    except ValidationError as error:
        lines = [
            explain({**fault, "loc": ("args", *fault["loc"])}, {"args": args})
            for fault in error.errors(include_url=False)
        ]
        raise ValueError("; ".join(lines)) from None


def leave_the_rest_to_us(args: dict[str, Any]) -> None:
    """Refuse the arguments of timm.create_model that the pipeline sets itself."""
    taken = sorted({"pretrained", "num_classes", "in_chans"} & set(args))
    if taken:
        raise ValueError(f"args {', '.join(taken)}: set by the pipeline; use weights for weights")
