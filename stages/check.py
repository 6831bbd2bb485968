"""Check params.yaml before DVC reads it: python -m stages.check.

DVC's own message for a key that its templates miss, or a list that is none, names neither.
"""

from pathlib import Path

from stages import entry
from vision import params
from vision.errors import UserError
from vision.files import CHECKPOINTS
from vision.sources.archive import find

WRITTEN = ("data/raw", "data/prepared", "data/extra")


def main() -> str:
    study = params.load()
    _check_apart(study.data.path, "data.path")
    if not Path(study.data.path).exists():
        raise UserError(
            f"data.path {study.data.path} is missing: put the images there, or change it"
        )
    for name, path in study.data.extra_tests.items():
        _check_apart(path, f"data.extra_tests.{name}")
        find(path, f"data.extra_tests.{name}")
    return f"params.yaml: {study.study}, {len(study.runs)} training runs{_unfinished()}"


def _unfinished() -> str:
    """A line on the room that interrupted runs take, which nobody else says."""
    sizes = [file.stat().st_size for file in CHECKPOINTS.glob("*.ckpt")]
    if not sizes:
        return ""
    size = sum(sizes) / 1e6
    return (
        f"\n{CHECKPOINTS}: {len(sizes)} interrupted run(s), {size:,.1f} MB; each goes on when it "
        "is asked for again with the code and number of threads (JOBS) that it began with, and can "
        "be deleted"
    )


def _check_apart(given: str, key: str) -> None:
    """Refuse a path that overlaps with what the stages write."""
    path = Path(given).resolve()
    for name in WRITTEN:
        folder = Path(name).resolve()
        if path.is_relative_to(folder) or folder.is_relative_to(path):
            raise UserError(
                f"{key}: {given or 'the empty path'} is, holds or lies in {name}, which the "
                f"pipeline writes: put the images into a folder of their own, such as data/source"
            )


if __name__ == "__main__":
    entry.run(main)
