"""The size of the largest request that the proxy accepts: a full batch of the largest model, or Triton's own limit.

Pure. Input: a spec and its models' known configurations. A batch is counted as JSON, in which numbers have several
times their binary size.
"""

from __future__ import annotations

from collections.abc import Mapping

from triton_operator.api.quantity import GI, MI
from triton_operator.api.spec import Spec
from triton_operator.resources.shared_memory import tensor_bytes
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import integer_in, messages_in

DEFAULT = 64 * MI
"""Triton's own limit for HTTP, which also applies to models whose batches are not known."""

CAP = 2 * GI - 1
"""gRPC's limit for a message."""

_JSON_FACTOR = 8
"""A half-precision number of 2 bytes has up to 16 characters with its comma; other types have a smaller factor."""

_OVERRIDE = "--http-max-input-size="


def max_body_bytes(spec: Spec, configs: Mapping[str, Message]) -> int:
    """The limit; never below what the server accepts, which the user may have raised with `extraArgs`."""
    batches = (_batch_bytes(config) * _JSON_FACTOR for config in configs.values())
    return min(max([DEFAULT, *batches, *_limits_of_server(spec)]), CAP)


def _batch_bytes(config: Message) -> int:
    """Bytes of the inputs of a full batch, without those whose dimensions are variable."""
    sizes = (tensor_bytes(tensor) or 0 for tensor in messages_in(config, "input"))
    return sum(sizes) * max(1, integer_in(config, "max_batch_size"))


def _limits_of_server(spec: Spec) -> list[int]:
    values = (flag.removeprefix(_OVERRIDE) for flag in spec.triton.extra_args if flag.startswith(_OVERRIDE))
    return [int(value) for value in values if value.isascii() and value.isdigit()]
