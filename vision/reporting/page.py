"""The page that people decide by: one file, without requests, on any screen and on paper."""

from pathlib import Path

import jinja2
import yaml

from vision.evaluation import bootstrap
from vision.evaluation.results import ACCURACY, Study
from vision.reporting import convergence, listings, pairs, spread, variants
from vision.reporting.gallery import Figure
from vision.reporting.provenance import Provenance
from vision.reporting.verdict import verdict
from vision.reporting.words import choice_words, count, duration, labels_name, plural, words

TEMPLATES = Path(__file__).parent / "templates"
SECTIONS = {
    "compare": "Comparison",
    "variants": "Variants",
    "learning": "Learning curves",
    "few": "Few labels",
    "fails": "Where it fails",
    "data": "The data",
    "how": "How it was measured",
}
"""Title of each section by its anchor, which names its template too; in the order of the page."""
FOLDED = 20
"""The table of classes is folded away above this many."""


def render(study: Study, figures: dict[str, Figure], origin: Provenance) -> str:
    """The whole page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    classes = study.score is ACCURACY
    several = len(study.labels) > 1
    changed = variants.table(study)
    left_out = {"few": not several, "variants": not changed.rows}
    return environment.get_template("page.html.jinja").render(
        study=study,
        sections={name: title for name, title in SECTIONS.items() if not left_out.get(name)},
        classes=classes,
        verdict=verdict(study),
        figures=figures,
        comparison=listings.comparison(study),
        costs=listings.costs(study),
        pairs={labels: pairs.table(study, labels) for labels in study.labels},
        convergence=convergence.table(study, study.labels[0]),
        variants=changed,
        settings=listings.settings(study) if several else None,
        confused=listings.confused(study) if classes else None,
        per_class=listings.per_class(study) if classes else None,
        folded=FOLDED,
        splits=listings.splits(study),
        class_counts=listings.class_counts(study) if classes else None,
        balance=spread.balance(study) if classes else None,
        manifest=study.prepared.manifest,
        origin=origin,
        machines=_machines(study),
        seconds=sum(result.cost["seconds"] for result in study.results),
        params=yaml.safe_dump(
            study.params.model_dump(exclude_unset=True), sort_keys=False, allow_unicode=True
        ),
        say=words(study),
        choice=choice_words(study),
        labels_name=labels_name,
        duration=duration,
        plural=plural,
        count=count,
        draws=bootstrap.DRAWS,
        several=several,
        baseline=None if classes else _baseline(study),
    )


def _machines(study: Study) -> list[tuple[str, str, str]]:
    """Each combination of hardware, torch version and number format in use, and by which models."""
    users: dict[tuple[str, str, str], dict[str, None]] = {}
    for result in study.results:
        cost = result.cost
        machine = (str(cost["device"]), str(cost["torch"]), str(cost["precision"]))
        users.setdefault(machine, {})[result.run.model] = None
    alone = len(users) == 1
    return [
        (device, torch, precision if alone else f"{precision} ({', '.join(models)})")
        for (device, torch, precision), models in users.items()
    ]


def _baseline(study: Study) -> str:
    """The error of always predicting the training mean."""
    row = study.row(study.winner, study.labels[0])
    return words(study).value(row["test_baseline_mae"])
