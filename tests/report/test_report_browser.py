"""The page in a real browser, opened from disk: silent, linked, sortable, reachable by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from report_races import LINE_UP, hostile_race

from convarium.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A page that notes every request and every complaint."""

    def __init__(self, browser: Any, path: Any, *, width: int = 1280, **options: Any) -> None:
        size = {"width": width, "height": 900}
        self.address = path.as_uri()
        self.page = browser.new_page(viewport=size, reduced_motion="reduce", **options)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.goto(self.address)

    def wake(self) -> None:
        """Brings every chart near the screen, and waits until it is alive."""
        for figure in self.page.locator("figure[data-chart]").all():
            figure.scroll_into_view_if_needed()
        self.settle("figure[data-chart]:not(.alive)", 0)

    def settle(self, selector: str, count: int) -> None:
        """Waits until so many elements match; the page's policy forbids waiting on a script."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count, timeout=120_000)

    def rows(self) -> list[str]:
        return self.page.locator("#results tbody tr .name a").all_inner_texts()


@pytest.fixture(scope="module")
def visit(browser, page_path) -> Iterator[Visit]:
    visit = Visit(browser, page_path)
    visit.wake()
    yield visit
    visit.page.close()


def test_it_asks_for_nothing_and_complains_of_nothing(visit):
    foreign = [url for url in visit.requests if not url.startswith(("data:", "blob:"))]
    assert foreign == [visit.address]
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_it_fits_360_pixels(browser, page_path, scheme):
    visit = Visit(browser, page_path, width=360, color_scheme=scheme)
    visit.wake()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert visit.complaints == []
    visit.page.close()


def test_heads_sort_by_pointer_and_by_key(visit, race):
    names = sorted(race.results, key=lambda result: result.params)
    head = visit.page.locator("#results th", has_text="Parameters")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert visit.rows() == [result.model for result in names]
    visit.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert visit.rows() == [result.model for result in reversed(names)]
    assert visit.page.locator("#results th[aria-sort]").count() == 1


def test_a_row_fades_the_other_bubbles(visit):
    visit.page.mouse.move(0, 0)
    visit.page.locator("#row-n2").hover()
    faded = "figure[data-chart=accuracy-macs] .live path[opacity='0.15']"
    visit.settle(faded, len(LINE_UP) - 1)
    assert "shown" in visit.page.locator(".chip[data-net=n2]").get_attribute("class")


def test_a_bubble_marks_its_row(visit):
    bubble = visit.page.locator(
        "figure[data-chart=accuracy-macs] .live .mark-symbol.role-mark path"
    ).last
    bubble.scroll_into_view_if_needed()
    box = bubble.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.wait_for_selector("#results tr.shown", state="attached")
    visit.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.wait_for_selector("#results tr.pinned", state="attached")
    visit.page.keyboard.press("Escape")
    assert visit.page.locator("#results tr.pinned").count() == 0


def test_tab_reaches_everything_and_shows_where_it_is(browser, page_path):
    visit = Visit(browser, page_path)
    visit.wake()  # a chart that comes alive meanwhile would take the focus away
    seen = []
    for _ in range(27 + 2 * len(LINE_UP)):
        visit.page.keyboard.press("Tab")
        seen.append(
            visit.page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.className, e.id, e.dataset.pin || '', e.parentElement.dataset.column"
                " || '', s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
            )
        )
    assert seen[0][0] == "skip"
    assert "theme" in [row[1] for row in seen]
    assert {row[2] for row in seen} >= {f"n{n}" for n in range(len(LINE_UP))}
    assert {row[3] for row in seen} >= {str(n) for n in range(11)}
    assert all(style != "none" and width > 0 for *_, style, width in seen)
    visit.page.close()


def test_the_button_changes_the_theme(visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    before = visit.page.evaluate(ground)
    visit.page.locator("#theme").click()
    after = visit.page.evaluate(ground)
    visit.page.locator("#theme").click()
    assert before != after
    assert visit.page.evaluate(ground) == before


def test_without_scripts_charts_and_table_are_there(browser, page_path):
    visit = Visit(browser, page_path, java_script_enabled=False)
    assert visit.page.locator(".drawn > svg").first.is_visible()
    assert visit.page.locator("#results tbody tr").count() == len(LINE_UP)
    assert visit.page.locator("#theme").is_hidden()
    visit.page.close()


@pytest.mark.slow
def test_hostile_names_run_nothing(browser, tmp_path):
    visit = Visit(browser, write_report(hostile_race(), tmp_path))
    visit.wake()
    assert visit.complaints == []
    assert visit.requests == [visit.address]
    assert visit.page.evaluate("window.broken") is None
    visit.page.close()
