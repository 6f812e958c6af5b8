"""The report in a real browser: phone and desktop, light and dark, with an answer that holds a script.

A page that is broken on purpose shows that these checks can fail.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import CHROMIUM, Browser, chromium
from support.report_run import make_run
from tutelage.curate.inspection import Wishes
from tutelage.pipeline.inspecting import inspect_file
from tutelage.report import write_report
from tutelage.report.inspection import render_inspection
from tutelage.runs import RunDirectory

SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1280, 900)}
BROKEN = (
    "<!doctype html><title>x</title><div style='width:3000px'>x</div><script>document.title='owned'; alert(1)</script>"
)

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="headless Chromium is not installed")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["end", "tune", "nothing"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run: RunDirectory = make_run(tmp_path_factory.mktemp("run") / "run", until=request.param)
    return write_report(run)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_opens_quietly_and_fits(browser: Browser, page: Path, size: str, dark: bool) -> None:
    width, height = SIZES[size]
    browser.open(page, width=width, height=height, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("window.innerWidth") == width, "the page was wider than the phone and has been zoomed out"
    assert browser.value("document.querySelectorAll('script').length") == 0
    assert "owned" not in browser.value("document.title")
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in background.strip("rgb()").split(",")) < 384) == dark


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about rows of which some would like to be a script, or push the page apart."""
    folder = tmp_path_factory.mktemp("inspection")
    said = ("<script>document.title='owned'</script>", "x" * 900, "[bold]a & b", "\u202egnirts", "A plain answer.")
    rows = [
        {"prompt": f"Tell me about {said[n % 5]} and number {n // 2}.", "completion": said[n % 3], "task": said[n % 2]}
        for n in range(60)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, found = inspect_file(folder / "rows.jsonl", Wishes(sample=40))
    (folder / "page.html").write_text(render_inspection(found))
    return folder / "page.html"


@pytest.mark.parametrize("size", SIZES)
def test_the_page_about_rows_opens_quietly_and_fits(browser: Browser, inspection: Path, size: str) -> None:
    width, height = SIZES[size]
    browser.open(inspection, width=width, height=height)
    browser.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("window.innerWidth") == width, "the page was wider than the phone and has been zoomed out"
    assert browser.value("document.querySelectorAll('script').length") == 0
    assert "owned" not in browser.value("document.title")
    drawn = "[...document.querySelectorAll('svg.bars')].map(one => one.querySelectorAll('rect').length)"
    assert min(browser.value(drawn)) >= 1
    assert len(browser.value(drawn)) == 4, "prompts and answers, in characters and in words"
    tall = "Math.max(...[...document.querySelectorAll('.bar')].map(one => one.getBoundingClientRect().height))"
    assert browser.value(tall) == pytest.approx(108), "the style sheet or the figure is broken"


def test_the_style_sheet_passes_its_own_content_policy(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280, height=900)
    assert browser.value("getComputedStyle(document.querySelector('main')).maxWidth") != "none"


def test_a_desktop_shows_every_table_whole_but_the_one_of_all_models(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280, height=900)
    wide = """[...document.querySelectorAll('.scroll')]
        .filter(place => place.scrollWidth > place.clientWidth + 1 && !place.querySelector('.models'))
        .map(place => place.getAttribute('aria-label'))"""
    assert browser.value(wide) == []


def test_paper_shows_everything_and_cuts_nothing_off(browser: Browser, page: Path) -> None:
    browser.open(page, width=720, height=1000, media="print")  # A4 between its margins
    assert browser.value("document.documentElement.scrollWidth") <= 720
    hidden = "[...document.querySelectorAll('details > :not(summary)')].filter(one => !one.checkVisibility()).length"
    assert browser.value(hidden) == 0


def test_labels_of_figures_do_not_run_into_their_values(browser: Browser, page: Path) -> None:
    browser.open(page, width=360, height=740)
    overlaps = """[...document.querySelectorAll('svg.intervals')].flatMap(svg => {
        const texts = [...svg.querySelectorAll('.label, .value, .tick')]
            .map(t => [t.textContent, t.getBoundingClientRect()]);
        return texts.flatMap(([a, p], i) => texts.slice(i + 1).filter(([b, q]) =>
            p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2)
            .map(([b]) => a + ' | ' + b));
    })"""
    assert browser.value(overlaps) == []


def test_a_broken_page_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(BROKEN)
    browser.open(bad, width=360, height=740)
    assert any("javascriptDialogOpening" in complaint for complaint in browser.complaints())
    assert browser.value("document.documentElement.scrollWidth") > 360
    assert browser.value("document.title") == "owned"
