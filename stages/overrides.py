"""Check what `dvc exp run -S` would make of params.yaml: python -m stages.overrides KEY=VALUE …

DVC's own message for a key that the file lacks names no other key; a wrong value it hands on to
the stages, and leaves in the file.
"""

import shutil
import sys
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.utils.cli_parse import to_path_overrides  # type: ignore[import-untyped]
from dvc.utils.hydra import (  # type: ignore[import-untyped]
    apply_overrides,
    get_hydra_sweeps,
    to_hydra_overrides,
)
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision import params
from vision.errors import UserError

ABSENT = object()


def main() -> None:
    """Say nothing where all is well: DVC speaks next."""
    try:
        check(sys.argv[1:], Path("params.yaml"))
    except UserError as error:
        sys.exit(f"error: {error}")


def check(given: list[str], file: Path) -> None:
    """Check params.yaml as it would be in the experiment, or in each one of a sweep.

    `given` are the values of -S, [FILE:]KEY=VALUE; those for other files than `file`, which is
    params.yaml, pass. So does what DVC cannot read at all: it says so itself.

    Raises:
        UserError: the file breaks the schema, an override makes it do so, or its key is new.
    """
    params.load(file)
    overrides = to_path_overrides(given).get(file.name, [])
    try:
        for experiment in get_hydra_sweeps({file.name: overrides}):
            _check(experiment[file.name], file)
    except (DvcException, HydraException, OmegaConfBaseException):
        return


def _check(overrides: list[str], file: Path) -> None:
    try:
        content = _applied(overrides, file)
    except DvcException:
        _explain(overrides, file)
    else:
        params.check(content)


def _explain(overrides: list[str], file: Path) -> None:
    """Raise what is wrong with the keys that the file does not have, if there are any."""
    existing = OmegaConf.load(file)
    forced, new = [], []
    for override in to_hydra_overrides(overrides):
        plain = override.type is OverrideType.CHANGE
        forced.append(f"++{override.input_line}" if plain else override.input_line)
        if plain and OmegaConf.select(existing, override.key_or_group, default=ABSENT) is ABSENT:
            new.append(override)
    for override in new:
        match override.key_or_group.split("."):
            # the schema would take it for the whole of another model
            case ["models", name, _, *_] if name not in existing.models:
                known = ", ".join(existing.models)
                raise UserError(f"{file.name}: models has no entry {name!r}; known: {known}")
    params.check(_applied(forced, file))
    if new:
        keys = ", ".join(override.key_or_group for override in new)
        lines = " ".join(f"-S {quote(f'+{override.input_line}')}" for override in new)
        raise UserError(f"{file.name} has no {keys}; to add: {lines}")


def _applied(overrides: list[str], file: Path) -> Any:
    """The content that DVC would give to params.yaml."""
    with TemporaryDirectory() as folder:
        changed = Path(shutil.copy(file, folder))
        apply_overrides(changed, overrides)
        return yaml.load(changed.read_text(encoding="utf-8"), params.Loader)


if __name__ == "__main__":
    main()
