"""Check params.yaml before DVC reads it: python -m stages.check.

DVC's own message for a key that its templates miss, or a list that is none, names neither.
"""

from pathlib import Path

from stages import entry
from vision import params
from vision.errors import UserError
from vision.sources.archive import find


def main() -> str:
    study = params.load()
    if not Path(study.data.path).exists():
        raise UserError(
            f"data.path {study.data.path} is missing: put the images there, or change it"
        )
    for name, path in study.data.extra_tests.items():
        find(path, f"data.extra_tests.{name}")
    return f"params.yaml: {study.study}, {len(study.runs)} training runs"


if __name__ == "__main__":
    entry.run(main)
