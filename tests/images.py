"""Tiny generated images, and the folders and archives that hold them."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vision.params import Data

SHARED = Path(__file__).parents[2] / "shared" / "data"

PARAMS = """
study: tiny
data: {{source: folder, path: {path}}}
seeds: [0]
labels_per_class: [all]
scratch: [net]
transfer: []
models: {{net: {{net: resnet20, epochs: 1, optimizer: {{name: sgd, lr: 0.1}}}}}}
evaluation: {{}}
runtime: {{}}
"""

Pixels = NDArray[np.uint8]


def data(source: str = "folder", path: Path | str = "data/source", **values: Any) -> Data:
    return Data.model_validate({"source": source, "path": str(path), **values})


def pixels(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape or (6, 6, 3), dtype=np.uint8)


def encoded(array: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def class_files(
    classes: tuple[str, ...] = ("cat", "dog"), each: int = 10, prefix: str = "", seed: int = 0
) -> dict[str, bytes]:
    """Different PNG images by path, CLASS/NUMBER.png."""
    return {
        f"{prefix}{name}/{number}.png": encoded(pixels(seed + 1000 * place + number))
        for place, name in enumerate(classes)
        for number in range(each)
    }


def split_files(each: int = 10) -> dict[str, bytes]:
    return {
        **class_files(prefix="train/", each=each),
        **class_files(prefix="test/", each=4, seed=500),
    }


def write_folder(top: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return top


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def idx(array: Pixels) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes(), mtime=0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
