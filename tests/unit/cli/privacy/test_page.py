"""The HTML page: complete, self-contained, and text stays text."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.html_page import Page
from tests.privacy_reports import a_bundle, a_full_report, a_policy, a_private_body, a_report, a_serving_pod
from triton_operator.api.text import escape
from triton_operator.cli.privacy.markup import element
from triton_operator.cli.privacy.page import render_page
from triton_operator.cli.privacy.report import PrivacyReport

HOSTILE = [
    "</style><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!--",
    "]]><![CDATA[",
    "&lt;b&gt;&#60;",
    "javascript:alert(1)",
    "\x00\x1b]0;x\x07\u202e\ud800",
]


MARK = "\u65e5"
"""A letter that the page itself does not contain."""
BENIGN = Page(render_page(a_full_report(MARK)))
COUNT = "".join(BENIGN.texts).count(MARK)


def shown(report: PrivacyReport) -> str:
    return " ".join(Page(render_page(report)).texts)


def test_text_is_inserted_in_many_places() -> None:
    """Otherwise, the following tests show nothing."""
    assert COUNT > 50
    assert {"table", "dl", "ul", "h1"} <= {name for name, _ in BENIGN.elements}


@given(st.text(min_size=1))
def test_any_text_stays_text(text: str) -> None:
    """It becomes no element and no attribute, and is readable in the page."""
    page = Page(render_page(a_full_report(text)))
    assert page.elements == BENIGN.elements
    assert "".join(page.texts).count(escape(text)) >= COUNT


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    source = render_page(a_full_report(text))
    assert Page(source).elements == BENIGN.elements
    assert escape(text) in "".join(Page(source).texts)


def test_an_element_that_is_not_escaped_would_be_found() -> None:
    assert Page(element("p", element("b", "x")).code).elements != Page(element("p", "<b>x</b>").code).elements


@given(st.text())
def test_attributes_are_escaped(text: str) -> None:
    assert Page(element("p", class_=text).code).elements == [("p", (("class", escape(text)),))]


def test_a_page_shows_what_an_auditor_files() -> None:
    body = a_private_body(enforced=False)
    text = shown(a_report(body, server="https://cluster.example.org", version="v1.36.1", policies=[a_policy()]))
    for part in (
        "2026-06-01T12:00:00Z",
        "https://cluster.example.org",
        "v1.36.1",
        "shop",
        "digits",
        "uid-of-digits",
        "Not enforced",
        "NetworkPolicy digits does not exist",
        "NetworkEnforcement is in force",
        "2026-05-01T08:00:00Z",
        "sha256:5f5f",
        "release",
        "caller shop",
        "1/model.pt",
        "line 1: writes a file",
        "digits: 1 of 9 findings are reported",
        "Root on the node.",
        "Side channels.",
    ):
        assert part in text, part


def test_a_page_needs_nothing_else() -> None:
    """No script, no link, no address that a browser would load; the policy of the page forbids them as well."""
    source = render_page(a_report(pods=[a_serving_pod("a")], config_maps={"triton-operator-ca": a_bundle("none")}))
    page = Page(source)
    names = {name for name, _ in page.elements}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "a", "base"})
    attributes = {name for _, found in page.elements for name, _ in found}
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}
    (style,) = re.findall(r"<style>(.*?)</style>", source, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'\"" in source


def test_a_page_is_the_same_in_every_encoding() -> None:
    source = render_page(a_report(a_private_body(models=[{"name": "digits"}]), server="https://集群"))
    assert source.isascii()
    assert "https://集群" in "".join(Page(source).texts)
