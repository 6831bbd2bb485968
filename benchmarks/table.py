"""What the benches found, as a table."""

from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Bar:
    """What a number is asked to be."""

    sense: Literal["≥", "≤"]
    value: float

    def admits(self, value: float) -> bool:
        return value >= self.value if self.sense == "≥" else value <= self.value


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    bench: str
    against: str = "-"
    values: list[float] = field(default_factory=list)
    """One of each run or pair of runs, in `unit`; none where the bench was left out."""
    unit: str = "x"
    bar: Bar | None = None
    note: str = ""
    """On how much data it was measured, and the figures behind the ratio; or why it was not."""
    holds: bool = True
    """Whether what is asked beside the number (the same predictions, ...) is so."""

    @property
    def verdict(self) -> str:
        if not self.values:
            return "left out" if self.holds else "failed"
        admitted = self.bar is None or self.bar.admits(median(self.values))
        return "met" if admitted and self.holds else "missed"


HEADINGS = ["", "bench", "against", "median", "min..max", "n", "bar", "verdict"]


def table(rows: list[Row]) -> str:
    """A Markdown table of the rows, with their notes numbered below it."""
    cells = [HEADINGS, *(_cells(number, row) for number, row in enumerate(rows, start=1))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"{number}. {row.note}" for number, row in enumerate(rows, start=1)]
    return "\n".join([*lines, "", *notes])


def _cells(number: int, row: Row) -> list[str]:
    values = [f"{value:.2f}" for value in sorted(row.values)]
    found = [f"{median(row.values):.2f} {row.unit}", f"{values[0]}..{values[-1]}"] if values else []
    bar = f"{row.bar.sense} {row.bar.value:g} {row.unit}" if row.bar else "-"
    return [
        str(number),
        row.bench,
        row.against,
        *(found or ["-", "-"]),
        str(len(values)),
        bar,
        row.verdict,
    ]
