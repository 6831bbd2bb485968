"""Stage extra: a further test set, packed into data/extra: python -m stages.extra NAME."""

import sys
from pathlib import Path

from stages.entry import run
from vision import params
from vision.errors import UserError
from vision.files import replacing
from vision.packing import pack_test
from vision.prepared import Prepared
from vision.sources import extra

PREPARED = Path("data/prepared")


def main() -> str:
    data = params.load().data
    name = sys.argv[1]
    if name not in data.extra_tests:
        known = ", ".join(data.extra_tests) or "none at all"
        raise UserError(f"data.extra_tests names no {name}: give one that it names ({known})")
    made = Path("data/extra") / name
    with replacing(made) as folder:
        manifest = pack_test(extra.records(data, name), data, Prepared(PREPARED), folder)
    return (
        f"{made}: {manifest.counts['test']:,} images; also in the study's own data: "
        f"{len(manifest.duplicates_across)}; unreadable: {len(manifest.skipped)}"
    )


if __name__ == "__main__":
    run(main)
