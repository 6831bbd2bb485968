"""Numbers and names as a reader likes them."""

import math
from dataclasses import dataclass, replace

from vision.evaluation.results import ACCURACY, Difference, Kind, Study
from vision.prepared import Split

SPACE = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
KINDS: dict[Kind, str] = {"scratch": "from scratch", "transfer": "transfer"}
MEASURES = {
    "accuracy": "accuracy",
    "loss": "loss",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mae": "mean error",
    "rmse": "RMSE",
    "r2": "R²",
}
SPLIT_NAMES: dict[Split, str] = {"train": "Training", "val": "Validation", "test": "Test"}


@dataclass(frozen=True)
class Words:
    """How a study speaks of its score."""

    name: str
    """accuracy, or mean error."""
    factor: float
    """From the stored number to the shown one."""
    unit: str
    step: str
    """The unit of a difference."""
    decimals: int

    def number(self, value: float, sign: bool = False) -> str:
        """The bare number; with `sign`, also its plus."""
        shown = round(value * self.factor, self.decimals) + 0.0  # no negative zero
        return minus(f"{shown:{'+' if sign else ''}.{self.decimals}f}")

    def interval(self, gap: Difference) -> str:
        """+0.4 to +4.0."""
        return f"{self.number(gap.low, True)} to {self.number(gap.high, True)}"

    def between(self, low: float, high: float) -> str:
        """97.1 to 98.4 %."""
        return f"{self.number(low)} to {self.value(high)}"

    def value(self, mean: float, spread: float = math.nan) -> str:
        """97.8 %, or 97.8 ± 0.3 %."""
        plus = "" if math.isnan(spread) else f"{NO_BREAK}±{NO_BREAK}{self.number(spread)}"
        return self.number(mean) + plus + (SPACE + self.unit if self.unit else "")

    def distance(self, value: float) -> str:
        """The size of a difference: 1.2 points."""
        return self.number(abs(value)) + (SPACE + self.step if self.step else "")


def words(study: Study) -> Words:
    """The words for this study; as many decimals as its test split can carry."""
    manifest = study.prepared.manifest
    if study.score is ACCURACY:
        return Words("accuracy", 100, "%", "points", 2 if manifest.counts["test"] >= 5000 else 1)
    smallest = float(study.summary["test_mae"].min()) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(smallest)))
    return Words("mean error", 1, manifest.unit, manifest.unit, decimals)


def choice_words(study: Study) -> Words:
    """The words for the validation measure that chooses."""
    key, say = study.choice.key, words(study)
    if key == study.score.key:
        return say
    if key in ("loss", "r2"):
        return Words(MEASURES[key], 1, "", "", 3)
    return replace(say, name=MEASURES[key])


def labels_name(labels: str) -> str:
    """A labels setting in words."""
    return "all labels" if labels == "all" else f"{labels} labels a class"


def duration(seconds: float) -> str:
    """42 s, 3.5 min, 1.2 h, 5.1 ms."""
    for size, unit in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{short(seconds / size)}{SPACE}{unit}"
    return f"0{SPACE}s"


def ratio(value: float) -> str:
    """3.2 and the sign for times."""
    return f"{short(value)}{SPACE}{TIMES}"


def short(value: float) -> str:
    """Two significant digits, and no fewer than the whole number's own: 0.042, 1.2, 340."""
    rounded = abs(float(f"{value:.2g}"))  # 9.96 has the places of 10
    places = max(0, 1 - math.floor(math.log10(rounded))) if value else 0
    return minus(f"{value:,.{places}f}")


def target(study: Study, value: float) -> str:
    """A target or a prediction, to a hundredth of the targets' spread or so: 43, 36.94."""
    spread = study.prepared.manifest.target_std or 1.0
    places = max(0, 1 - math.floor(math.log10(spread)))
    return minus(f"{value:,.{places}f}")


def large(value: float) -> str:
    """950, 54 k, 41 M, 4.1 G."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if round(value / size, 3) >= 1:
            return f"{short(value / size)}{SPACE}{unit}"
    return short(value)


def minus(text: str) -> str:
    """The number's text, with a real minus sign."""
    return text.replace("-", MINUS)


def percent(share: float) -> str:
    """97.8 %."""
    return f"{100 * share:.1f}{SPACE}%"


def count(number: float) -> str:
    """12,345."""
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
