"""The page as a browser shows it: on screens and phones, light and dark, sorted and printed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import report
from tests.browser import CHROMIUM, Browser, browser
from tests.results import Made, make

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium: apt-get install chromium"
)

HOSTILE = ("<img src=x onerror=alert(1)>", "</style><script>alert(2)</script>", "{{ 7 * 7 }}\"'>")
PHONE, DESKTOP, PAPER = 375, 1280, 718
"""Widths in CSS pixels; paper is A4 with margins of one centimetre."""
READABLE = 4.5
"""The least contrast of text and background (WCAG 2.2, success criterion 1.4.3)."""

FAINT = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
  };
  const found = [];
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement, text = words.currentNode.data.trim();
    if (!text || element.closest("script, style, #confusion-winner, #confusion-rival")) continue;
    const look = getComputedStyle(element);
    const ink = light(rgba(element.closest("svg") ? look.fill : look.color));
    const paper = light(behind(element));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < LEAST) found.push(`${text.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return found;
})()
""".replace("LEAST", str(READABLE))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of made-up results whose names would do harm if they were more than text."""
    root = tmp_path_factory.mktemp("study")
    make(root, Made(classes=HOSTILE))
    params = root / "params.yaml"
    params.write_text(yaml.safe_dump(yaml.safe_load(params.read_text()) | {"study": HOSTILE[1]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        report.main()
    return root / "reports" / "index.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def keys(tab: Browser, column: int) -> list[Any]:
    """What the rows of the first sortable table are sorted by in this column, top to bottom."""
    found: list[str] = tab.run(
        "[...document.querySelector('table.sortable').tBodies[0].rows]"
        f".map(row => row.cells[{column}].dataset.key)"
    )
    return found


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_whole_and_readable(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width, dark)
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    # scrolling sideways is for tables
    assert tab.run("scrollTo(500, 0), scrollX") == 0
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 26)" if dark else "rgb(252, 252, 251)"
    )
    assert tab.run(FAINT) == []


def test_a_click_sorts_a_table(tab: Browser, page: Path) -> None:
    tab.open(page)
    heads = tab.run(
        "[...document.querySelectorAll('table.sortable th button')].map(x => x.innerText)"
    )
    column = heads.index("Loss")
    before = [float(key) for key in keys(tab, column)]
    head = f"table.sortable th:nth-child({column + 1})"
    for direction, rows in (
        ("ascending", sorted(before)),
        ("descending", sorted(before, reverse=True)),
    ):
        tab.click(f"{head} button")
        assert [float(key) for key in keys(tab, column)] == rows != before
        assert tab.run(f"document.querySelector('{head}').ariaSort") == direction
    tab.click("table.sortable th:first-child button")
    names = keys(tab, 0)
    assert names == sorted(names, key=str.lower)
    assert tab.complaints == []


def test_the_contents_lead_to_every_section(tab: Browser, page: Path) -> None:
    tab.open(page)
    names = tab.run("[...document.querySelectorAll('main > section')].map(x => x.id)")
    assert {"compare", "learning", "few", "fails", "data", "how"} <= set(names)
    for name in names:
        tab.click(f"nav a[href='#{name}']")
        assert tab.run("location.hash") == f"#{name}"
        # in sight, and not behind the contents, which stay in sight too
        edge = tab.run("document.querySelector('nav').getBoundingClientRect().bottom")
        assert tab.run("document.querySelector('nav').getBoundingClientRect().top") >= 0
        assert edge <= tab.run(f"document.querySelector('#{name} h2').getBoundingClientRect().top")


def test_nothing_is_cut_off_on_paper(tab: Browser, page: Path) -> None:
    tab.open(page, PAPER, dark=True)
    tab.send("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.run("document.documentElement.scrollWidth") <= PAPER
    assert tab.run(FAINT) == []
    assert tab.paper().startswith(b"%PDF")
