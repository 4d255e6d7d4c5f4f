"""The page of `tritonctl privacy` in Chromium, offline: it shows the report, and text of others does nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.chromium import Chromium
from tests.html_page import Page
from tests.privacy_reports import a_full_report, a_policy, a_private_body, a_report, a_serving_pod
from tests.web_server import Web, web_server
from triton_operator.cli.privacy.markup import Markup, document
from triton_operator.cli.privacy.page import render_page
from triton_operator.cli.privacy.style import STYLE


@pytest.fixture
def browser(tmp_path: Path) -> Chromium:
    return Chromium.unpacked(tmp_path)


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that records who requests something."""
    with web_server() as web:
        yield web


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The page of a deployment with one control that is not enforced."""
    body = a_private_body(enforced=False)
    return saved(tmp_path, render_page(a_report(body, policies=[a_policy()], pods=[a_serving_pod("digits-1")])))


def saved(folder: Path, source: str) -> Path:
    file = folder / "page.html"
    file.write_text(source)
    return file


def hostile(web: Web) -> str:
    """Text that requests something in many ways if a browser reads it as HTML."""
    address = f"http://127.0.0.1:{web.port}"
    return (
        f"</title></style></dd></table><img src={address}/image>'\"><script src={address}/script></script>"
        f"<script>new Image().src='{address}/inline';document.title='owned'</script>"
        f"<link rel=stylesheet href={address}/sheet><style>@import '{address}/import';</style>"
        f"<iframe src={address}/frame></iframe><svg onload=\"new Image().src='{address}/svg'\"></svg>"
    )


def test_the_report_is_shown_as_it_was_written(browser: Chromium, report: Path) -> None:
    """The browser finds the same elements and the same text, and has nothing to repair."""
    shown, written = Page(browser.dom(report)), Page(report.read_text())
    assert [name for name, _ in shown.elements] == [name for name, _ in written.elements]
    text = "".join(shown.texts)
    for part in (
        "Not enforced",
        "NetworkPolicy digits does not exist",
        "uid-of-digits",
        "caller shop",
        "Side channels.",
    ):
        assert part in text, part
    assert browser.addresses() == []


def test_hostile_text_creates_no_element_and_requests_nothing(browser: Chromium, web: Web, tmp_path: Path) -> None:
    text = hostile(web)
    dom = browser.dom(saved(tmp_path, render_page(a_full_report(text))))
    shown = Page(dom)
    benign = Page(render_page(a_full_report("x")))
    assert [name for name, _ in shown.elements] == [name for name, _ in benign.elements]
    assert text in "".join(shown.texts)
    assert "<title>owned</title>" not in dom
    assert browser.addresses() == []
    assert web.requests == []


def test_the_same_text_as_html_would_request_something(browser: Chromium, web: Web, tmp_path: Path) -> None:
    """Otherwise, the previous test shows nothing."""
    dom = browser.dom(saved(tmp_path, f"<title>x</title>{hostile(web)}"))
    shown = Page(dom)
    assert {"script", "img", "iframe"} <= {name for name, _ in shown.elements}
    assert {request.path for request in web.requests} >= {"/image", "/script", "/inline", "/sheet", "/import", "/frame"}
    assert "<title>owned</title>" in dom
    assert any(address.endswith("/image") for address in browser.addresses())


def test_the_policy_of_the_page_forbids_requests_even_if_text_became_html(
    browser: Chromium, web: Web, tmp_path: Path
) -> None:
    """A second barrier."""
    browser.dom(saved(tmp_path, document("x", STYLE, Markup(hostile(web)))))
    assert web.requests == []


@pytest.mark.parametrize(("dark", "paper"), [(False, (255, 255, 255)), (True, (0x16, 0x16, 0x16))])
def test_the_page_follows_the_preferred_colors(
    browser: Chromium, report: Path, dark: bool, paper: tuple[int, int, int]
) -> None:
    """The style is in effect, and its policy does not block it; text is readable on its background."""
    picture = Image.open(browser.screenshot(report, dark=dark)).convert("RGB")
    assert picture.getpixel((2, 2)) == paper
    shades = [shade for shade, pixels in enumerate(picture.convert("L").histogram()) if pixels]
    assert max(shades) - min(shades) > 150


def test_the_page_can_be_printed(browser: Chromium, report: Path) -> None:
    """On several sheets of paper."""
    printed = browser.pdf(report)
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", printed)) >= 2
