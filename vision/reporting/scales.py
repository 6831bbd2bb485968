"""Logarithmic axes with round numbers on them."""

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from vision.reporting.words import duration, large

NUMBERS = [m * 10.0**k for k in range(-3, 14) for m in (1, 2, 5)]
TIMES = [
    *(m * 10.0**k for k in range(-9, 1) for m in (1, 2, 5)),
    *(10.0, 20.0, 30.0),
    *(60.0 * m for m in (1, 2, 5, 10, 20, 30)),
    *(3600.0 * m for m in (1, 2, 5, 10, 20, 50, 100)),
]


def times(axes: Axes, most: int = 7) -> None:
    """Ticks of x at round seconds, minutes and hours, at most so many."""
    _ticks(axes, TIMES, lambda x: duration(x).replace(".0", ""), most)


def numbers(axes: Axes, most: int = 7) -> None:
    """Ticks of x at round numbers, at most so many."""
    _ticks(axes, NUMBERS, lambda x: large(x).replace(".0", ""), most)


def _ticks(axes: Axes, steps: Sequence[float], name: Callable[[float], str], most: int) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if sum(low <= x <= high for x in steps) < 2:
        # numbers this close together have no round one between them: show those around
        low = max((x for x in steps if x <= low), default=low)
        high = min((x for x in steps if x >= high), default=high)
        axes.set_xlim(low, high)
    inside = [x for x in steps if low <= x <= high]
    axes.xaxis.set_major_locator(FixedLocator(inside[:: math.ceil(len(inside) / most) or 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: name(x)))
