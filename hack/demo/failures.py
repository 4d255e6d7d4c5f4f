"""The error of the demo."""

from __future__ import annotations


class DemoError(Exception):
    """The demo started but does not work; the message states where to find details."""
