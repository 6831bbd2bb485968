"""Multiply-adds, against counts by hand and against published ones."""

from vision.network import Architecture, Input, Network, build_body
from vision.operations import multiply_adds


def counted(net: str, side: int, outputs: int) -> int:
    expects = Input(3, side, side, [0.5] * 3, [0.5] * 3)
    body = build_body(Architecture(net), expects)
    return multiply_adds(Network(body, expects, outputs, 0.0).eval(), expects)


def test_resnet20_has_its_41_million() -> None:
    # He et al. 2015: the stem, three blocks at each of three sizes, the head; shortcuts are free
    first = 32 * 32 * 16 * 9 * (3 + 6 * 16)
    second = 16 * 16 * 32 * 9 * (16 + 5 * 32)
    third = 8 * 8 * 64 * 9 * (32 + 5 * 64)
    assert counted("resnet20", 32, 10) == first + second + third + 640


def test_mobilenet_has_its_569_million() -> None:
    assert round(counted("timm/mobilenetv1_100", 224, 1000) / 1e6) == 569


def test_attention_is_counted() -> None:
    assert round(counted("timm/vit_tiny_patch16_224", 224, 1000) / 1e8) == 13  # 1.3 G, DeiT-Ti
