"""Read responses of an API server, with limits: a proxy or a broken server may send anything, slowly or without end.

Input: a response of the `kubernetes` package, or chunks of one. Output: objects or lines. Exceptions of the package
become SdkErrors. `kubernetes_client` calls it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from triton_operator.sdk.cluster_errors import error_of_config, error_of_response, error_of_transport
from triton_operator.sdk.cluster_objects import Object
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.stop import Stop

CHUNK = 1 << 16
_MOST_BYTES = 1 << 28
"""Size of a response, and of a line in a watch or a log."""


@contextmanager
def converted_errors(stop: Stop | None = None) -> Iterator[None]:
    """Convert the package's exceptions to SdkErrors; a read that `stop` ended is not an error."""
    import urllib3.exceptions
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config import ConfigException

    try:
        yield
    except SdkError:
        raise
    except ConfigException as error:  # Credentials that have expired could not be renewed.
        raise error_of_config(error) from error
    except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if stop is not None and stop.stopped:
            return
        if isinstance(error, ValueError) and "header value" in str(
            error
        ):  # The error's text and traceback contain the token.
            raise error_of_config(ValueError("the token has a line break or another control character")) from None
        if isinstance(error, ApiException) and error.status:
            raise error_of_response(error.status, str(error.body or ""), str(error.reason or "")) from error
        raise error_of_transport(
            error
        ) from error  # The package reports failures of TLS as an ApiException without one.


def read_body(response: Any, seconds: float) -> bytes:
    """Read a response to its end, and keep it for `ApiException`; raises UnreachableError after `seconds`.

    The timeout of urllib3 limits each read of the socket only.
    """
    end, parts, size = time.monotonic() + seconds, [], 0
    while chunk := response.response.read1(CHUNK, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if time.monotonic() > end or size > _MOST_BYTES:
            response.response.close()
            limit = f"{_MOST_BYTES >> 20} MiB" if size > _MOST_BYTES else f"{seconds:g} s"
            raise UnreachableError(f"the cluster does not answer: the response has not ended after {limit}")
    response.data = b"".join(parts)
    return bytes(response.data)


def split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends; raises UnreachableError for one that is too long."""
    rest = bytearray()
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest += first
        for other in others:
            yield bytes(rest)
            rest = bytearray(other)
        if len(rest) > _MOST_BYTES:
            raise UnreachableError(f"the cluster sent a line of more than {_MOST_BYTES >> 20} MiB")
    if rest:
        yield bytes(rest)


def decode(text: bytes, path: str) -> Object:
    """Return the JSON object in a response; raises UnreachableError for anything else."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors.
        found = None
    if not isinstance(found, dict):  # For example the login page of a proxy.
        raise UnreachableError(f"the answer to {path} is not a JSON object but {text[:80]!r}: is this an API server?")
    return found


def items_of(page: Object, path: str) -> list[Object]:
    """Return the objects in a page of a list; raises UnreachableError for any other content."""
    items = page.get("items") or []
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise UnreachableError(
            f"the answer to {path} has `items` that is not a list of objects: is this an API server?"
        )
    return items


def metadata_of(item: Object) -> Object:
    """Return the metadata of an object or a list; empty if there is none."""
    metadata = item.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
