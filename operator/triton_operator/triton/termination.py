"""What a serving pod's containers leave behind when they end, and how to read it.

The two readers in one place, for `reconcile`: `prepare` ends with its outcome, Triton with the tail of its log.
"""

from __future__ import annotations

from triton_operator.triton.outcome import LIMIT, Prepared, PreparedModel, PrepareFailed, encode, read_prepare
from triton_operator.triton.server_log import Failure, LoadFailure, ServerFailure, read_server

__all__ = [
    "LIMIT",
    "Failure",
    "LoadFailure",
    "PrepareFailed",
    "Prepared",
    "PreparedModel",
    "ServerFailure",
    "encode",
    "read_prepare",
    "read_server",
]
