"""HTML elements whose text is always escaped.

Pure. A `str` is text, and `Markup` is HTML that this module has made, so untrusted text cannot become an element or an
attribute. Control characters are escaped as on a terminal.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import NamedTuple

from triton_operator.api.text import escape


class Markup(NamedTuple):
    """HTML that is inserted unchanged."""

    code: str


def element(name: str, *content: Markup | str, **attributes: str) -> Markup:
    """An element; a trailing `_` of an attribute's name is removed, as in `class_`."""
    options = "".join(f' {key.rstrip("_")}="{_escaped(value)}"' for key, value in attributes.items())
    inner = "".join(each.code if isinstance(each, Markup) else _escaped(each) for each in content)
    return Markup(f"<{name}{options}>{inner}</{name}>")


def joined(*parts: Markup) -> Markup:
    """Elements one after the other."""
    return Markup("\n".join(part.code for part in parts))


def document(title: str, style: str, body: Markup) -> str:
    """A page that works without a network, and that a browser permits neither scripts nor requests.

    `style` is trusted. The page is ASCII, so that it is the same text in every encoding.
    """
    policy = f"default-src 'none'; style-src '{_source(style)}'"
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body.code}\n</body>\n</html>\n"
    )
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _source(style: str) -> str:
    """The only style that the policy of the page allows, by its digest."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"sha256-{digest}"


def _escaped(text: str) -> str:
    return html.escape(escape(text))
