"""The smallest images that a network can take."""

from vision.errors import UserError


def require(net: str, side: int, height: int, width: int) -> None:
    """Raise a UserError where images are smaller than `side` x `side` pixels."""
    if min(height, width) < side:
        raise UserError(
            f"{net} needs images of at least {side}x{side} pixels, not {height}x{width}: "
            "set data.image_size"
        )
