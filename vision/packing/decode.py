"""One image, as a source gives it, into pixels of the study's size and channels."""

import hashlib
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vision.params import Data
from vision.sources.record import Record

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to stand an image upright, by EXIF's orientation."""
_SIDEWAYS = range(5, 9)
"""Those that swap width and height."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as it will be packed."""

    pixels: Pixels
    """[H, W, C]."""
    digest: bytes
    """Of the pixels."""
    original: tuple[int, int]
    """Width and height before it was resized, in pixels, turned as EXIF says."""


def decode(record: Record, data: Data) -> Decoded | str:
    """The image, or why it cannot be read."""
    try:
        if isinstance(record.image, bytes):
            with Image.open(io.BytesIO(record.image)) as file:
                image: Image.Image = file
                width, height = image.size
                if data.image_size and file.format == "JPEG":
                    # decode at a fraction, still twice the size, which the resizing halves
                    file.draft(None, (2 * data.image_size, 2 * data.image_size))
                image.load()  # which turns a TIFF, and gives its size as it is when turned
                orientation = _orientation(image)
                if orientation in _TURNS:
                    image = image.transpose(_TURNS[orientation])
                if orientation in _SIDEWAYS:
                    width, height = height, width
                array = np.asarray(_fit(_plain(image, data.channels), data.image_size))
        else:
            array = record.image
            height, width = array.shape[:2]
            if data.image_size or data.channels not in (None, 1 if array.ndim == 2 else 3):
                image = _plain(Image.fromarray(array), data.channels)
                array = np.asarray(_fit(image, data.image_size))
    except UnidentifiedImageError:
        return "no image format that Pillow knows"
    # Pillow's readers raise errors of many kinds on bad bytes
    except Exception as error:
        return str(error) or type(error).__name__
    array = np.ascontiguousarray(array if array.ndim == 3 else array[:, :, None])
    return Decoded(array, fingerprint(array), (width, height))


def _orientation(image: Image.Image) -> int:
    """As EXIF has it, 1 (upright) where that cannot be read: the pixels are good all the same."""
    try:
        orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # of many kinds, as from the readers of pixels
        return 1
    return orientation


def _plain(image: Image.Image, channels: Literal[1, 3] | None) -> Image.Image:
    """The image as 8-bit grey (L) or RGB, whichever `channels` asks for or it is already."""
    # of NetPBM's files with 16 bits, Pillow makes 32, of the same range
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
    elif image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        image = Image.alpha_composite(white, colour).convert("L" if grey else "RGB")
    mode = {1: "L", 3: "RGB", None: "L" if image.mode in ("1", "L") else "RGB"}[channels]
    return image if image.mode == mode else image.convert(mode)


def _fit(image: Image.Image, size: int | None) -> Image.Image:
    if size is None or image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def fingerprint(array: Pixels) -> bytes:
    return hashlib.blake2b(array.data, digest_size=16).digest()
