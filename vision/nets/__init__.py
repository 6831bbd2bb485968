"""Networks that are trained from random weights, one file a family.

Each is built by a function `(channels, height, width) -> nn.Sequential` whose children are its
layers in order and turn images [N, C, H, W] into features [N, F]; the head that turns features
into outputs is put on by `vision.network`. To add one: a file here, a line in `BODIES`, its name
in `params.NETS`; if it takes arguments, a section of params for them in `params.ARGUMENTS`.
"""

from collections.abc import Callable

from torch import nn

from vision.nets.cnn import cnn
from vision.nets.resnet import resnet20
from vision.nets.simple_cnn import simple_cnn
from vision.nets.speednet import speednet
from vision.nets.vgg import vgg10

BODIES: dict[str, Callable[..., nn.Sequential]] = {
    "cnn": cnn,
    "simple_cnn": simple_cnn,
    "vgg10": vgg10,
    "resnet20": resnet20,
    "speednet": speednet,
}
