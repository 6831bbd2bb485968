"""What each change to a baseline did, on validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vision.evaluation.comparison import Comparison, Difference
from vision.evaluation.results import Study
from vision.params import Model, Scratch


@dataclass(frozen=True)
class Variant:
    model: str
    changes: list[str]
    """Keys of its entry in params.yaml that differ from the baseline's: `args.depth: 3 → 4`."""
    difference: Difference
    """From the baseline on the validation images; p-values are corrected for their number."""
    spread: float
    """Standard deviation over the seeds of the difference from the baseline; nan for one seed."""


def variants(study: Study) -> list[Variant]:
    """The models of the baseline's net or backbone, at the largest labels setting; that which is
    furthest ahead of it on validation comes first. Empty without a baseline."""
    baseline, labels = study.params.baseline, study.labels[0]
    if baseline is None:
        return []
    models = study.params.models
    names = [x for x in study.ranking(labels) if _origin(models[x]) == _origin(models[baseline])]
    others = [x for x in names if x != baseline]
    comparison = study.compare(names, labels, "val")
    corrected = comparison.against(baseline, others)
    return [
        Variant(
            name,
            changes(_entry(models[baseline]), _entry(models[name])),
            corrected[name],
            _spread(comparison, name, baseline),
        )
        for name in sorted(others, key=lambda name: -corrected[name].value)
    ]


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs between two entries, by dotted key, in the order of the second."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    keys = [*new, *(key for key in old if key not in new)]
    return [
        f"{key}: {_shown(old, key)} → {_shown(new, key)}"
        for key in keys
        if _shown(old, key) != _shown(new, key)
    ]


def _leaves(node: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        inner = isinstance(value, dict) and value
        found += _leaves(value, f"{before}{key}.") if inner else [(before + key, value)]
    return found


def _shown(leaves: dict[str, Any], key: str) -> str:
    """As params.yaml has it."""
    value = leaves.get(key)
    if value is None or value == {}:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _entry(model: Model) -> dict[str, Any]:
    """All of a model's params, those at their default included."""
    arguments = {"args": model.arguments} if isinstance(model, Scratch) else {}
    return model.model_dump() | arguments


def _origin(model: Model) -> str:
    return model.net if isinstance(model, Scratch) else model.backbone


def _spread(comparison: Comparison, first: str, second: str) -> float:
    gaps = [comparison.merits[x].mean(axis=1) for x in (first, second)]
    return float(np.std(gaps[0] - gaps[1], ddof=1)) if len(gaps[0]) > 1 else float("nan")
