"""The one look of all figures: sizes, colours, marks, and how a figure becomes SVG.

Figures have no background and draw their ink in `currentColor`, so that one picture serves light
pages, dark pages and paper. Colours are near Okabe and Ito's, which colour-blind readers can tell
apart; marks and dashes say the same again for print in grey.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec
from unicodedata import east_asian_width

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")

WIDTH = 460
"""Of every figure, in CSS pixels at natural size."""
INK = "#0a0b0c"
"""Stands for `currentColor` until the figure is written."""
BLUE, RED = "#2a82c9", "#d55e00"
COLOURS = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", RED, "#8a8a8a")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
FONTS = "system-ui, sans-serif"
HEAD = (
    "*{stroke-linejoin:round;stroke-linecap:butt}svg{color:#1f2328}"
    "@media(prefers-color-scheme:dark){svg{color:#dfe3e8}}"
)

RC: dict[Any, Any] = {
    "svg.hashsalt": "vision",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "image.composite_image": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.transparent": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
}


@dataclass(frozen=True)
class Mark:
    """How one model is drawn in every figure."""

    colour: str
    mark: str
    dash: Any
    hollow: bool
    """From scratch; models on pretrained weights are filled."""

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": self.dash}

    @property
    def point(self) -> dict[str, Any]:
        face = "none" if self.hollow else self.colour
        edge = {"markeredgecolor": self.colour, "markeredgewidth": 1.4}
        return {"marker": self.mark, "markerfacecolor": face, **edge}


def marks(kinds: dict[str, Any]) -> dict[str, Mark]:
    """A mark for each model, the same in every figure of a study."""
    return {
        name: Mark(
            colour=COLOURS[i % len(COLOURS)],
            mark=MARKS[i % len(MARKS)],
            dash=DASHES[i % len(DASHES)],
            hollow=kind == "scratch",
        )
        for i, (name, kind) in enumerate(kinds.items())
    }


def canvas(height: float) -> Figure:
    """An empty figure of the common width and this height, in pixels."""
    return Figure(figsize=(WIDTH / 72, height / 72), dpi=72)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at this place, in pixels from the figure's top left corner."""
    w, h = WIDTH, figure.get_figheight() * 72
    return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def legend(
    figure: Figure, handles: Sequence[Any], names: Sequence[str], top: float, columns: int
) -> None:
    """A legend whose top edge is this many pixels below the figure's top."""
    figure.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0, 1 - top / (figure.get_figheight() * 72)),
        ncols=columns,
        borderpad=0,
        borderaxespad=0,
        handlelength=2.2,
        columnspacing=1.6,
    )


def shorten(name: str, length: int) -> str:
    """The name, with its middle left out where it is longer than `length` characters."""
    if len(name) <= length:
        return name
    head = (length - 1) // 2
    return f"{name[: length - 1 - head]}…{name[len(name) - head :]}"


def longest(texts: Iterable[str]) -> int:
    """The pixels that the longest of these takes, about; signs of Chinese, Japanese and Korean are
    twice as wide as letters."""
    return max(7 * sum(1 + (east_asian_width(sign) in "WF") for sign in text) for text in texts)


def svg(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Make a function that draws a figure return it as SVG text instead, always the same bytes."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        buffer = io.StringIO()
        with matplotlib.rc_context(RC), warnings.catch_warnings():
            # text stays text: the reader's fonts have the glyphs that matplotlib's own may lack
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            draw(*args, **kwargs).savefig(
                buffer, format="svg", metadata={"Date": None, "Creator": None}
            )
        return _tidy(buffer.getvalue())

    return drawn


def _tidy(text: str) -> str:
    """Take out what no reader needs, and put in `currentColor` and the reader's fonts."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(
        r"<style[^>]*>.*?</style>", f"<style>{HEAD}</style>", text, count=1, flags=re.DOTALL
    )
    text = re.sub(r'(<svg[^>]*?width="[\d.]+)pt(" height="[\d.]+)pt"', r'\1\2"', text, count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace("'DejaVu Sans', sans-serif", FONTS)
    text = re.sub(r"\n\s*", "\n", text)
    return text.replace(INK, "currentColor")
