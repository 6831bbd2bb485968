"""Stage fetch: the source's files, verified, into data/raw."""

import json
from pathlib import Path

from stages.entry import run
from vision import params
from vision.files import replacing
from vision.sources import SOURCES

RAW = Path("data/raw")


def main() -> str:
    data = params.load().data
    with replacing(RAW) as folder:
        facts = SOURCES[data.source].fetch(data, folder)
        size = sum((folder / name).stat().st_size for name in facts["files"])
        text = json.dumps({"source": data.source, **facts}, indent=2)
        (folder / "source.json").write_text(text + "\n", encoding="utf-8")
    classes = f", {facts['classes']} classes" if "classes" in facts else ""
    others = ", ".join(f"{count:,} {end}" for end, count in facts.get("left_out", {}).items())
    return (
        f"{RAW}: {', '.join(facts['files'])}, {facts['images']:,} images{classes}, "
        f"{size / 1e6:.1f} MB"
        + (f"; left out, as no images of the study: {others}" if others else "")
    )


if __name__ == "__main__":
    run(main)
