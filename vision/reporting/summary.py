"""The page in short, as Markdown, for pull requests."""

import re

from vision.evaluation.results import ACCURACY, Study
from vision.reporting import listings
from vision.reporting.listings import Table
from vision.reporting.provenance import Provenance
from vision.reporting.verdict import verdict

PUNCTUATION = re.compile(r"([\\`*_\[\]<>|~#&$!@])")


def render(study: Study, origin: Provenance) -> str:
    """Verdict, cautions, and the tables that compare the models."""
    said = verdict(study)
    parts = [f"## {_text(said.headline)}", _text(" ".join(said.sentences))]
    parts += [f"> {_text(line)}" for line in said.cautions]
    parts += [
        _table(listings.comparison(study)),
        _unlabelled(study),
        _table(listings.costs(study)),
        f"All of it: `reports/index.html`. {_origin(origin)}",
    ]
    return "\n\n".join(parts) + "\n"


def _unlabelled(study: Study) -> str:
    if study.score is ACCURACY:
        return (
            "Loss, precision, recall and F1: on test. Gap: training minus test accuracy, in points."
        )
    return "RMSE and R²: on test. Gap: test minus training error."


def _origin(origin: Provenance) -> str:
    changed = ", with changes that were not committed" if origin.changed else ""
    revision = f"Code: {origin.revision[:12]}{changed}. " if origin.revision else ""
    return f"{revision}To repeat it: `{origin.steps}`"


def _table(table: Table) -> str:
    """Numbers to the right, as their header's dashes say."""
    numbers = [not isinstance(cell.key, str) for cell in table.rows[0]]
    lines = [
        [_text(name) for name in table.head],
        ["---:" if number else "---" for number in numbers],
        *([_text(cell.text) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text whose punctuation means nothing to Markdown or HTML, on one line."""
    return PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
