"""Check every study, and build every network in it: python -m stages.studies."""

from pathlib import Path

from stages import entry
from vision import params, train
from vision.errors import UserError
from vision.network import count_parameters
from vision.params import Data, Params, Transfer
from vision.prepared import Manifest

SIZES = {
    "digits": (1, 8),
    "cifar10": (3, 32),
    "cifar100": (3, 32),
    "mnist": (1, 28),
    "fashion_mnist": (1, 28),
    "folder": (3, 32),
    "utkface": (3, 200),
}
"""Channels, and side in pixels, of a source's images; of a folder's, those of the archives that
the studies name."""


def main() -> str:
    files = sorted(Path("studies").glob("*.yaml"))
    for file in files:
        study = params.load(file)
        try:
            print(f"{file}: {_check(study)}")
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
    return f"{len(files)} studies fit the schema, and their networks can be built"


def _check(study: Params) -> str:
    manifest = blank(study.data)
    sizes = []
    for model in study.models.values():
        if isinstance(model, Transfer):
            model = model.model_copy(update={"weights": None})
        network, _ = train.build(model, manifest, outputs=10)
        sizes.append(count_parameters(network))
    side, channels = manifest.width, manifest.channels
    return (
        f"runs {len(study.runs)}, networks {len(sizes)}, parameters {min(sizes):,} to "
        f"{max(sizes):,}, images {side}x{side}x{channels}"
    )


def blank(data: Data) -> Manifest:
    """A manifest that says of the images what networks need to know, and nothing else."""
    channels, side = SIZES[data.source]
    channels, side = data.channels or channels, data.image_size or side
    return Manifest.model_construct(
        height=side, width=side, channels=channels, mean=[0.5] * channels, std=[0.25] * channels
    )


if __name__ == "__main__":
    entry.run(main)
