"""Errors of this package.

The supervisor catches ProxyError, reports it and keeps the last valid configuration.
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ProxyError(TritonOperatorError):
    """The mounted files cannot be used; the message names the file or field and the problem."""
