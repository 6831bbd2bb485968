"""What is wrong with params.yaml, in one line a fault."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def explain(fault: Any, content: Any) -> str:
    """One line for a pydantic fault, with its place as the file's own keys."""
    keys: list[str] = []
    node = content
    for part in fault["loc"]:
        # pydantic puts the tags of unions (scratch, sgd) among the keys
        places = range(len(node)) if isinstance(node, list) else node
        if isinstance(node, list | dict) and part in places:
            node = node[part]
            keys.append(str(part))
    if fault["type"] == "missing":
        return f"{'.'.join([*keys, fault['loc'][-1]])} is missing"
    place = ".".join(keys)
    if fault["type"] == "value_error":
        return f"{place}: {fault['ctx']['error']}" if place else str(fault["ctx"]["error"])
    if fault["type"] == "union_tag_invalid":
        tag = fault["ctx"]["tag"]
        return f"{place}: {tag!r} is not one of {fault['ctx']['expected_tags']}"
    given = fault["input"]
    if isinstance(given, str) and _is_number(given):
        return f"{place}: {given!r} is text; write the number without quotes"
    return f"{place}: {fault['msg']}, not {given!r}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown word: the known one next to it, or all."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
