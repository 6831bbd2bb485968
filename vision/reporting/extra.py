"""Further test sets on the page: each model on them, and how far it falls."""

from dataclasses import dataclass

from vision.evaluation.extra import Drop, drop
from vision.evaluation.results import Study
from vision.reporting.listings import Cell, Table
from vision.reporting.words import SPACE, plural, words


@dataclass(frozen=True)
class Extra:
    """What the page says of one further test set."""

    name: str
    sentences: list[str]
    table: Table


def extras(study: Study) -> list[Extra]:
    """Every further test set, in the order of params."""
    return [_extra(study, name) for name in study.params.data.extra_tests]


def _extra(study: Study, name: str) -> Extra:
    say, manifest = words(study), study.extra(name).manifest
    drops = {model: drop(study, name, model) for model in study.ranking(study.labels[0])}
    own = drops[study.winner]
    sentences = [
        f"On {name}, {plural(manifest.counts['test'], 'image')}, {study.winner}'s {say.name} is "
        f"{say.value(own.second)}, {_change(own, study)}."
    ]
    if manifest.duplicates_across:
        sentences.append(
            f"{plural(len(manifest.duplicates_across), 'image')} of the study's own data "
            f"{'is' if len(manifest.duplicates_across) == 1 else 'are'} in it too, pixel for pixel."
        )
    if manifest.skipped:
        sentences.append(f"{plural(len(manifest.skipped), 'unreadable file')} left out.")
    rows = [
        [
            Cell(model, model),
            Cell(say.value(found.first), found.first),
            Cell(say.value(found.second), found.second),
            Cell(say.number(found.difference.value, True), found.difference.value),
            Cell(say.interval(found.difference), found.difference.low),
        ]
        for model, found in drops.items()
    ]
    head = ["Model", f"Test {say.name}", f"On {name}", "Worse by", f"95{SPACE}% interval"]
    return Extra(name, sentences, Table(head, rows, marked=0))


def _change(own: Drop, study: Study) -> str:
    """How it compares with the study's own test images."""
    say, gap = words(study), own.difference
    interval = f"95{SPACE}% interval {say.interval(gap)}"
    if not gap.clear:
        return f"on the test split {say.value(own.first)}: no clear difference ({interval})"
    side = "worse" if gap.value > 0 else "better"
    return f"{say.distance(gap.value)} {side} than on the test split ({interval})"
