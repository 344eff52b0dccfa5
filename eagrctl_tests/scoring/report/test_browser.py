"""The page as Chromium shows it. Skipped where there is no Chromium."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eagrctl.scoring.report.html import html_text
from eagrctl_tests.scoring.report.browser import CHROMIUM, Browser
from eagrctl_tests.scoring.samples import full_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")

PHONE, DESKTOP = (390, 844), (1280, 900)
FIRST = "document.querySelector('.face input')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_text(full_report()), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Browser:
    browser.console.clear()
    browser.requests.clear()
    browser.window(*DESKTOP)
    browser.open(file)
    return browser


def shown(page: Browser) -> list[float]:
    """How much of each picture of the first face can be seen, 0..1, were it not for those above."""
    cut = page.value("[...document.querySelector('.face').querySelectorAll('.layer')].map(l => l.style.clipPath)")
    return [1.0 if not clip else 1 - float(clip.split()[1].removesuffix("%")) / 100 for clip in cut]


def pixels(page: Browser) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def test_the_browser_would_tell_of_errors_and_requests(page: Browser) -> None:
    page.value("console.error('made up'); setTimeout(() => { throw new Error('thrown') }, 0)")
    page.value("fetch('https://example.invalid/').catch(() => 0); 0")
    page.value("new Promise(done => setTimeout(done, 50))")
    page.open(Path(page.value("location.pathname")))
    assert any("made up" in line for line in page.console)
    assert any("Uncaught" in line for line in page.console)
    assert any("Content Security Policy" in line for line in page.console)


def test_nothing_is_complained_of_and_nothing_is_fetched(page: Browser) -> None:
    page.value("window.scrollTo(0, document.body.scrollHeight)")
    page.screenshot(whole=True)
    assert page.console == []
    assert page.requests
    assert {url for url in page.requests if not url.startswith("data:")} == {page.value("location.href")}


def test_the_slider_wipes_by_keyboard_from_photo_to_errors(page: Browser) -> None:
    assert shown(page) == [1, 0, 0, 0]
    page.value(f"{FIRST}.focus()")
    seen = []
    for _ in range(15):
        page.press("ArrowRight", 39)
        seen.append(shown(page))
    assert seen[4] == pytest.approx([1, 0.5, 0, 0])
    assert seen[9] == pytest.approx([1, 1, 0, 0])
    assert seen[14] == pytest.approx([1, 1, 0.5, 0])
    assert page.value(f"{FIRST}.getAttribute('aria-valuetext')") == "50 % prediction over truth"
    page.press("End", 35)
    assert shown(page) == [1, 1, 1, 1]
    assert page.value(f"{FIRST}.getAttribute('aria-valuetext')") == "errors"


def test_the_picture_under_the_slider_changes(page: Browser) -> None:
    page.value("document.querySelector('.face').scrollIntoView()")
    before = pixels(page)
    page.click(".face .stops button:nth-child(2)")
    page.value("document.querySelector('.face').scrollIntoView()")
    assert np.abs(pixels(page) - before).mean() > 3
    assert page.value(f"{FIRST}.value") == "1"
    assert page.value("[...document.querySelectorAll('.face button')].map(b => b.ariaPressed).slice(0, 4)") == [
        *("false", "true", "false", "false")
    ]


@pytest.mark.parametrize("size", [PHONE, (320, 568), DESKTOP], ids=["phone", "small phone", "desktop"])
def test_the_page_is_as_wide_as_its_window_and_wide_tables_scroll(page: Browser, size: tuple[int, int]) -> None:
    page.window(*size)
    assert page.value("document.documentElement.scrollWidth") <= size[0]
    wide = page.value(
        "(e => e.scrollWidth > e.clientWidth)(document.querySelector('[aria-label=\"The confusion matrix\"]'))"
    )
    assert wide == (size[0] < 600)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Browser, scheme: str) -> None:
    page.window(*DESKTOP, prefers_color_scheme=scheme)
    style = "(s => getComputedStyle(document.querySelector(s)))"
    paper = luminance(page.value(f"{style}('body').backgroundColor"))
    assert (paper < 0.05) == (scheme == "dark")
    for selector in ("body", ".note", "nav a", ".bar.paper .value", "dt", ".name"):
        ink = luminance(page.value(f"{style}('{selector}').color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 4.5, selector


def test_paper_has_all_four_pictures_and_no_controls_and_is_white(page: Browser) -> None:
    page.click(".face .stops button:nth-child(2)")
    page.window(*DESKTOP, medium="print", prefers_color_scheme="dark")
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.value("getComputedStyle(document.querySelector('.controls')).display") == "none"
    clips = "[...document.querySelectorAll('.layer')].map(l => getComputedStyle(l).clipPath)"
    assert set(page.value(clips)) == {"none"}
    tops = page.value(
        "[...document.querySelector('.face').querySelectorAll('img')].map(i => i.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == 1
    assert page("Page.printToPDF")["data"].startswith("JVBER")  # %PDF


def test_without_scripts_the_four_pictures_stand_side_by_side(browser: Browser, file: Path) -> None:
    browser("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.window(*PHONE)
        browser.open(file)
        boxes = browser.value(
            "[...document.querySelector('.face').querySelectorAll('img')]"
            ".map(image => image.getBoundingClientRect()).map(box => `${box.x} ${box.y}`)"
        )
        assert len(set(boxes)) == 4
        assert browser.value("document.querySelector('.controls').getBoundingClientRect().height") == 0
    finally:
        browser("Emulation.setScriptExecutionDisabled", value=False)
