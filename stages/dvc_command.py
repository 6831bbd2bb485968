"""The `dvc` of .venv: DVC itself, after a look at the params that an experiment sets.

`make setup` makes .venv/bin/dvc call this; DVC has no hook of its own before `dvc exp run`.
"""

import subprocess
import sys
from pathlib import Path

from dvc import cli  # type: ignore[import-untyped]

UNREADABLE = 254
"""DVC's exit code for a command line that it cannot read."""


def main() -> int:
    """Run DVC with this process's command line, unless its -S would break params.yaml.

    Returns the exit code: of stages.overrides where that refuses, else DVC's.
    """
    try:
        command = cli.parse_args()
    except cli.DvcParserError:
        return UNREADABLE  # the parser has said why
    overrides, folder = getattr(command, "set_param", None), Path(command.cd)
    # a clone that uses this .venv has its own schema, and another project has none
    if overrides and (folder / "stages/overrides.py").is_file():
        check = [sys.executable, "-m", "stages.overrides", *overrides]
        refused = subprocess.run(check, cwd=folder, check=False).returncode
        if refused:
            return refused
    return cli.main()
