"""Read JSON: a request of the inference protocol, or only the values.

Input: the content of a file, and the model's interface if the file has only values. Output: a request. Values are
lists for the model's only input, or an object with a member for each input.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.model_input import located
from triton_operator.sdk.inputs import prepare_inputs
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.protocol_json import RequestBody, parse_request


def read_json(content: bytes, interface: Callable[[], ModelInterface], source: str) -> RequestBody:
    """Return the request; calls `interface` only if the file is not a complete request. Raises UsageError."""
    try:
        body = msgspec.json.decode(content)
    except RecursionError as error:
        raise UsageError(f"{source}: its lists are nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: is not JSON: {error}") from error
    with located(source):
        if isinstance(body, dict) and isinstance(body.get("inputs"), list):
            return parse_request(content)
        return RequestBody(prepare_inputs(interface(), body))
