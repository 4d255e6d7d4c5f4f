"""URLs as they are shown in messages and reports. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

INVALID = "an invalid URL"


def shown_url(url: str) -> str:
    """A URL without user, password, query and fragment; the text "an invalid URL" for one that cannot be split."""
    try:
        parts = urlsplit(url)
    except ValueError:  # For example, the CRD accepts text in brackets that is not an IPv6 address.
        return INVALID
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str) -> str:
    """The text that should be a URL, as it is, but without user, password and query."""
    scheme, separator, rest = text.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"
