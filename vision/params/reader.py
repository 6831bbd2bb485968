"""params.yaml, read and checked."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from vision.errors import UserError
from vision.params.messages import explain
from vision.params.study import Params


class Loader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 does, and so DVC, which writes 0.00001 as 1e-05: PyYAML, by YAML
    1.1, takes that for text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{node.value!r} reads as a date or a number ({error}): put it in quotes"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from None


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the params file.

    Raises:
        UserError: the file is missing, unreadable or breaks the schema; one line per fault.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: cp studies/digits.yaml {path}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is not valid YAML: {reason}") from None
    return check(content, str(path))


def check(content: Any, name: str = "params.yaml") -> Params:
    """Check already-parsed content; `name` is what messages call it."""
    if not isinstance(content, dict):
        raise UserError(f"{name} holds no keys: cp studies/digits.yaml {name}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        lines = [explain(fault, content) for fault in error.errors(include_url=False)]
        raise UserError("\n".join(f"{name}: {line}" for line in lines)) from None
