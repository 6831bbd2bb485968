"""Check params.yaml before DVC reads it: python -m stages.check.

DVC's own message for a key that its templates miss, or a list that is none, names neither.
"""

from pathlib import Path

from stages import entry
from vision import params
from vision.errors import UserError


def main() -> str:
    study = params.load()
    if not Path(study.data.path).exists():
        raise UserError(
            f"data.path {study.data.path} is missing: put the images there, or change it"
        )
    return f"params.yaml: {study.study}, {len(study.runs)} training runs"


if __name__ == "__main__":
    entry.run(main)
