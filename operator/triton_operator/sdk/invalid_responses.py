"""The error for a response that is not one of the v2 protocol.

Input: a block that reads a response with tritonclient. Output: AttemptError with an InferenceError. The server is
untrusted: it may be another program, and tritonclient raises whatever the decoding causes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from triton_operator.sdk.errors import InferenceError
from triton_operator.sdk.retry import AttemptError, RequestOutcome

DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What tritonclient raises for a response with missing members, other types or shapes, or invalid JSON."""


def invalid_response(target: str, error: Exception) -> AttemptError:
    """The error for a response of the server at `target`."""
    message = f"{target} sent a response that is not one of the v2 protocol ({type(error).__name__}); is it Triton?"
    return AttemptError(InferenceError(message), RequestOutcome.ANSWERED)


@contextmanager
def decoding(target: str) -> Iterator[None]:
    """Raise AttemptError for a response that cannot be decoded."""
    try:
        yield
    except DECODING_ERRORS as error:
        raise invalid_response(target, error) from error
