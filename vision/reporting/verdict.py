"""The answer in plain words, with what makes it uncertain."""

from dataclasses import dataclass

from vision.evaluation.results import ACCURACY, Study
from vision.reporting.style import shorten
from vision.reporting.words import SPACE, count, labels_name, plural, ratio, words

PHRASES = {"scratch": "trained from scratch", "transfer": "built on pretrained weights"}
NAMES = {"scratch": "From scratch", "transfer": "Transfer"}


@dataclass(frozen=True)
class Fact:
    """A number to see at a glance."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Verdict:
    headline: str
    sentences: list[str]
    facts: list[Fact]
    cautions: list[str]


def verdict(study: Study) -> Verdict:
    """What the study says: chosen on validation, shown on test."""
    say, labels, winner, rival = words(study), study.labels[0], study.winner, study.rival
    key, seeds = study.score.key, len(study.params.seeds)
    images = f"{count(study.prepared.manifest.counts['test'])} test images"
    best = study.row(winner, labels)
    won = say.value(best[f"test_{key}"], best[f"test_{key}_std"])
    setting = "" if labels == "all" else f" with {labels_name(labels)}"
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    brief = [shorten(name or "", 28) for name in (winner, rival)]
    facts = [Fact(f"Test {say.name}", won, f"{brief[0]}, {images}")]
    opening = f"On the {images}, {winner}'s {say.name} is {won} ({spread})."
    cautions = _about_seeds(seeds)
    cautions += _about_baseline(study)
    if rival is None:
        return Verdict(
            f"{brief[0]} reaches a test {say.name} of {won}{setting}.", [opening], facts, cautions
        )

    other = study.row(rival, labels)
    kinds = study.kinds[winner], study.kinds[rival]
    gap = study.difference(winner, rival, labels)
    interval = f"95{SPACE}% interval {say.interval(gap)}"
    if kinds[0] != kinds[1]:
        role = f"the best model {PHRASES[kinds[1]]}"
    else:
        role = "the second on validation"
    sentences = [
        f"{winner} ({PHRASES[kinds[0]]}) has the best validation {say.name} of "
        f"{plural(len(study.kinds), 'model')}{setting}: {say.value(best[f'val_{key}'])}.",
        opening,
        f"{rival}, {role}, has {say.value(other[f'test_{key}'], other[f'test_{key}_std'])}.",
        f"The difference is {say.distance(gap.value)} ({interval}).",
    ]
    facts.append(
        Fact(
            f"Ahead of {brief[1]}" if gap.value > 0 else f"Difference from {brief[1]}",
            f"{say.number(gap.value, True)} {say.step}".strip(),
            interval,
        )
    )
    if gap.clear and gap.value > 0:
        lead = f"{NAMES[kinds[0]]} wins: {brief[0]}" if kinds[0] != kinds[1] else brief[0]
        verb = "beats" if seeds > 1 else "is ahead of"
        headline = f"{lead} {verb} {brief[1]} by {say.distance(gap.value)}{setting}."
    elif gap.clear:
        headline = (
            f"{brief[0]} won on validation, but {brief[1]} is better on test "
            f"by {say.distance(gap.value)}."
        )
        cautions.append(
            "Validation and test disagree. The validation split may be too small to choose by."
        )
    else:
        headline = f"Too close to call: {brief[0]} and {brief[1]}{setting}."
        cautions.append(
            "The interval of the difference contains zero: the luck of seeds and test images "
            "could explain it."
        )
    cautions += _about_kinds(study)
    training = _ratio(best["seconds"], other["seconds"])
    per_image = _ratio(other["inference_images_per_second"], best["inference_images_per_second"])
    if training and per_image:
        sentences.append(
            f"{winner} takes {training} as long to train as {rival}, "
            f"and {per_image} as long per image."
        )
        facts.append(Fact("Training time", training, f"of {brief[1]}'s"))
        facts.append(Fact("Time per image", per_image, f"of {brief[1]}'s"))
    if len({result.cost["device"] for result in study.results}) > 1:
        cautions.append("The runs used different hardware. Do not compare their times.")
    return Verdict(headline, sentences, facts, cautions)


def _about_seeds(seeds: int) -> list[str]:
    if seeds == 1:
        return ["One seed: no spread; do not read small differences."]
    return ["Two seeds only: the spread is a rough guess."] if seeds == 2 else []


def _about_baseline(study: Study) -> list[str]:
    if study.score is ACCURACY:
        return []
    best = study.row(study.winner, study.labels[0])
    if best["test_mae"] < min(best["test_baseline_mae"], best["test_median_mae"]):
        return []
    return [
        "No better than always predicting the training mean or median: the model has learned "
        "nothing of use."
    ]


def _about_kinds(study: Study) -> list[str]:
    if len(set(study.kinds.values())) > 1:
        return []
    missing = "transfer" if study.params.scratch else "scratch"
    return [f"This study has no model {PHRASES[missing]}."]


def _ratio(numerator: float, denominator: float) -> str:
    """3.2 times, or nothing where a time is zero (no epochs)."""
    return ratio(numerator / denominator) if numerator > 0 and denominator > 0 else ""
