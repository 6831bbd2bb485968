"""params.yaml, read and checked."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vision.errors import UserError
from vision.params.messages import explain
from vision.params.study import Params


class Loader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 does, and so DVC, which writes 0.00001 as 1e-05: PyYAML, by YAML
    1.1, takes that for text."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the params file.

    Raises:
        UserError: the file is missing or breaks the schema; one line per fault.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: cp studies/digits.yaml {path}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    return check(content, str(path))


def check(content: Any, name: str = "params.yaml") -> Params:
    """Check already-parsed content; `name` is what messages call it."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        lines = [explain(fault, content) for fault in error.errors(include_url=False)]
        raise UserError("\n".join(f"{name}: {line}" for line in lines)) from None
