"""The page that people decide by: one file, without requests, on any screen and on paper."""

from pathlib import Path
from typing import Any

import jinja2
import yaml

from vision.evaluation import bootstrap
from vision.evaluation.results import ACCURACY, Study
from vision.reporting import (
    bands,
    convergence,
    extra,
    listings,
    pairs,
    reliability,
    robustness,
    sizes,
    spread,
    variants,
)
from vision.reporting.gallery import Figure
from vision.reporting.provenance import Provenance
from vision.reporting.verdict import verdict
from vision.reporting.words import (
    MEASURES,
    choice_words,
    count,
    duration,
    labels_name,
    plural,
    words,
)

TEMPLATES = Path(__file__).parent / "templates"
SECTIONS = {
    "compare": "Comparison",
    "variants": "Variants",
    "learning": "Learning curves",
    "few": "Few labels",
    "fails": "Where it fails",
    "trust": "How far to trust it",
    "worse": "When images are worse",
    "extra": "On other test sets",
    "data": "The data",
    "how": "How it was measured",
}
"""Title of each section by its anchor, which names its template too; in the order of the page."""
FOLDED = 20
"""The tables of classes and of pairs are folded away above this many rows."""


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
    several, corruptions = len(study.labels) > 1, study.params.evaluation.corruptions
    changed = variants.table(study)
    left_out = {
        "few": not several,
        "variants": not changed.rows,
        "worse": not corruptions,
        "extra": not study.params.data.extra_tests,
    }
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
        **(_probabilities(study) if classes else _numbers(study)),
        **(_robustness(study) if corruptions else {}),
        extras=extra.extras(study),
        splits=listings.splits(study),
        sizes=sizes.sentence(study),
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
        tie_break=MEASURES[study.tie_break],
        labels_name=labels_name,
        duration=duration,
        plural=plural,
        count=count,
        draws=bootstrap.DRAWS,
        several=several,
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


def _probabilities(study: Study) -> dict[str, Any]:
    """What the classification page says of calibration."""
    found = reliability.measures(study)
    return {
        "calibration": reliability.table(found),
        "trust": reliability.sentence(study.winner, found[study.winner]),
    }


def _robustness(study: Study) -> dict[str, Any]:
    """What the page says of images made worse."""
    found = robustness.scores(study)
    return {
        "robust": robustness.sentence(study, found),
        "robustness": robustness.table(study, found),
    }


def _numbers(study: Study) -> dict[str, Any]:
    """What the regression page says of errors and intervals."""
    held = bands.coverage(study)
    return {
        "errors": bands.errors(study),
        "bands": bands.bands(study, held),
        "trust": bands.sentence(study, held),
        "intervals": held is not None,
    }
