"""The answer in plain words, with what makes it uncertain."""

from dataclasses import dataclass

from vision.evaluation.comparison import Difference
from vision.evaluation.results import ACCURACY, Study
from vision.reporting.pairs import time_ratios
from vision.reporting.style import shorten
from vision.reporting.words import (
    MEASURES,
    SPACE,
    choice_words,
    labels_name,
    plural,
    ratio,
    short,
    words,
)

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
    chosen = choice_words(study)
    key, seeds = study.score.key, len(study.params.seeds)
    images = plural(study.prepared.manifest.counts["test"], "test image")
    best = study.row(winner, labels)
    won = say.value(best[f"test_{key}"], best[f"test_{key}_std"])
    setting = "" if labels == "all" else f" with {labels_name(labels)}"
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    brief = [shorten(name or "", 28) for name in (winner, rival)]
    facts = [Fact(f"Test {say.name}", won, f"{brief[0]}, {images}")]
    ends = say.between(*study.interval(winner, labels))
    opening = (
        f"On the {images}, {winner}'s {say.name} is {won} ({spread}; 95{SPACE}% interval {ends})."
    )
    cautions = _about_seeds(seeds)
    cautions += _about_baseline(study)
    cautions += _about_tuning(study)
    if rival is None:
        return Verdict(
            f"{brief[0]} reaches a test {say.name} of {won}{setting}.", [opening], facts, cautions
        )

    other = study.row(rival, labels)
    kinds = study.kinds[winner], study.kinds[rival]
    gap = study.difference(winner, rival, labels)
    interval = f"95{SPACE}% interval {say.interval(gap)}"
    role = f"by validation {chosen.name} "
    role += "the second" if kinds[0] == kinds[1] else f"the best model {PHRASES[kinds[1]]}"
    tie = (
        f"; of those that share it, its {MEASURES[study.tie_break]} is the least"
        if study.tied
        else ""
    )
    sentences = [
        _sentence(study, gap, role),
        f"{winner} ({PHRASES[kinds[0]]}) was chosen: its validation {chosen.name} is the best of "
        f"{plural(len(study.kinds), 'model')}{setting}, "
        f"{chosen.value(best[f'val_{study.choice.key}'])}{tie}.",
        opening,
        f"{rival} has {say.value(other[f'test_{key}'], other[f'test_{key}_std'])}.",
    ]
    if study.choice.key != key:
        ours, theirs = (chosen.value(row[f"test_{study.choice.key}"]) for row in (best, other))
        sentences.append(f"Their {chosen.name} on test: {ours} and {theirs}.")
    facts.append(
        Fact(
            f"Ahead of {brief[1]}" if gap.value > 0 else f"Difference from {brief[1]}",
            f"{say.number(gap.value, True)} {say.step}".strip(),
            interval,
        )
    )
    headline, doubts = _headline(study, gap, brief)
    cautions += doubts
    cautions += _about_kinds(study)
    cautions += _about_times(study, winner, rival)
    times = time_ratios(study, winner, rival, labels)
    for name, value, by_seed in (
        ("Training time", times.training, times.training_by_seed),
        ("Time per image", times.image, times.image_by_seed),
    ):
        if value is not None:
            ends = f"; {short(min(by_seed))} to {ratio(max(by_seed))} by seed" if seeds > 1 else ""
            facts.append(Fact(name, ratio(value), f"of {brief[1]}'s{ends}"))
    return Verdict(headline, sentences, facts, cautions)


def _headline(study: Study, gap: Difference, brief: list[str]) -> tuple[str, list[str]]:
    """The answer in one line, and the cautions that go with it.

    Args:
        brief: short names of the winner and its rival.
    """
    say, labels, seeds = words(study), study.labels[0], len(study.params.seeds)
    mixed = study.choice.key != study.score.key  # one measure chose, another is compared
    measured = f" in {say.name}" if mixed else ""
    by = f"by {say.distance(gap.value)}{measured}"
    setting = "" if labels == "all" else f" with {labels_name(labels)}"
    if not gap.clear:
        luck = "seeds and test images" if seeds > 1 else "the test images"
        return (
            f"Too close to call{measured}: {brief[0]} and {brief[1]}{setting}.",
            [f"The luck of {luck} could explain the difference."],
        )
    if gap.value > 0:
        kinds = [study.kinds[name] for name in (study.winner, study.rival) if name]
        lead = f"{NAMES[kinds[0]]} wins: {brief[0]}" if kinds[0] != kinds[1] else brief[0]
        return f"{lead} {'beats' if seeds > 1 else 'is ahead of'} {brief[1]} {by}{setting}.", []
    chosen = choice_words(study).name
    headline = (
        f"{brief[0]} won on validation{f' by {chosen}' if mixed else ''}, but {brief[1]} is better "
        f"on test {by}{setting}."
    )
    rows, (winner, rival) = study.summary.xs(labels, level="labels"), (study.winner, study.rival)
    compared = study.score.best_first(rows[f"val_{study.score.key}"])
    choosing = study.choice.best_first(rows[f"test_{study.choice.key}"])
    # each measure says on test what it said on validation
    if compared[rival] < compared[winner] and choosing[winner] < choosing[rival]:
        return headline, [
            f"{say.name.capitalize()} and {chosen} name different models: which of the two matters "
            "is for you to say."
        ]
    return headline, [
        "Validation and test disagree. The validation split may be too small to choose by."
    ]


def _sentence(study: Study, gap: Difference, role: str) -> str:
    """The answer with all that it rests on."""
    say, labels, winner, rival = words(study), study.labels[0], study.winner, study.rival
    assert rival is not None
    seeds = plural(len(study.params.seeds), "seed")
    images = f"the same {plural(study.prepared.manifest.counts['test'], 'test image')}"
    basis = f"95{SPACE}% interval {say.interval(gap)}, {seeds}, {images}"
    by = say.distance(gap.value)
    if gap.value:
        stands = "ahead of" if gap.value > 0 else "behind"
        doubt = "" if gap.clear else ", which is within noise"
        answer = f"{winner} is {by} {stands} {rival}, {role}{doubt} ({basis})"
    else:
        answer = f"{winner} and {rival}, {role}, are equal ({basis})"
    times = time_ratios(study, winner, rival, labels)
    if times.training is None or times.image is None:
        return f"{answer}."
    return (
        f"{answer}; it takes {ratio(times.training)} the training time and "
        f"{ratio(times.image)} the time per image."
    )


def _about_times(study: Study, winner: str, rival: str) -> list[str]:
    if len(study.devices(winner, rival)) > 1:
        return [
            f"{winner} and {rival} ran on different hardware. Do not compare their times: the "
            "ratios are left out."
        ]
    found = []
    if len(study.devices(*study.kinds)) > 1:
        found.append("The runs used different hardware. Do not compare their times.")
    formats = {
        name: ", ".join(sorted({x.cost["precision"] for x in study.results if x.run.model == name}))
        for name in (winner, rival)
    }
    if formats[winner] != formats[rival]:
        found.append(
            f"{winner} ran in {formats[winner]} and {rival} in {formats[rival]}: part of the "
            "difference in time may be that of the number formats."
        )
    return found


def _about_seeds(seeds: int) -> list[str]:
    if seeds == 1:
        return ["One seed: no spread; do not read small differences."]
    return ["Two seeds only: the spread is a rough guess."] if seeds == 2 else []


def _about_baseline(study: Study) -> list[str]:
    if study.score is ACCURACY:
        return _about_the_commonest(study)
    best = study.row(study.winner, study.labels[0])
    if best["test_mae"] < min(best["test_baseline_mae"], best["test_median_mae"]):
        return []
    return [
        "No better than always predicting the training mean or median: the model has learned "
        "nothing of use."
    ]


def _about_the_commonest(study: Study) -> list[str]:
    labels, counts = study.labels[0], study.prepared.manifest.class_counts["test"]
    commonest = max(counts) / sum(counts)
    if commonest == 1:
        return [
            "All test images are of one class: accuracy on them does not show whether a model "
            "tells classes apart."
        ]
    names = [x for x in study.kinds if study.row(x, labels)["test_accuracy"] <= commonest]
    if not names:
        return []
    return [
        f"{', '.join(names)}: no better than always answering the commonest class. Where training "
        "diverged, a lower learning rate or clip: 1.0 may help."
    ]


def _about_tuning(study: Study) -> list[str]:
    found = []
    for name in study.kinds:
        runs = study.of(name, study.labels[0])
        vain = sum(map(study.tuned_in_vain, runs))
        if vain:
            found.append(
                f"{name}: fine-tuning did not make it better on validation in {vain} of "
                f"{plural(len(runs), 'run')}; the weights from before it were kept."
            )
    return found


def _about_kinds(study: Study) -> list[str]:
    if len(set(study.kinds.values())) > 1:
        return []
    missing = "transfer" if study.params.scratch else "scratch"
    return [f"This study has no model {PHRASES[missing]}."]
