"""Stage preprocess: the fetched images, packed into data/prepared."""

from pathlib import Path

from stages.entry import run
from vision import params
from vision.errors import UserError
from vision.files import replacing
from vision.packing import pack
from vision.sources import SOURCES

RAW = Path("data/raw")
PREPARED = Path("data/prepared")


def main() -> str:
    data = params.load().data
    if not RAW.exists():
        raise UserError(f"{RAW} is missing: run dvc repro, or python -m stages.fetch, first")
    with replacing(PREPARED) as folder:
        manifest = pack(SOURCES[data.source].records(data, RAW), data, folder)
    counts = ", ".join(f"{count:,} {split}" for split, count in manifest.counts.items())
    target = f"{len(manifest.classes)} classes" if manifest.classes else "numbers"
    return (
        f"{PREPARED}: {counts}; {manifest.height}x{manifest.width}x{manifest.channels}, {target}; "
        f"duplicates across splits: {len(manifest.duplicates_across)}, "
        f"taken out: {manifest.deduplicated}; unreadable: {len(manifest.skipped)}"
    )


if __name__ == "__main__":
    run(main)
