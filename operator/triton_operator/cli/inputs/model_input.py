"""Connect a file's content to a model: which input it fills, and where an error of the SDK is in the file.

Input: the model's interface, and a place such as a file, line and column. Output: the one input, or an error with the
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from triton_operator.cli.failures import UsageError
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import ModelInterface, TensorInterface


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put the place in front of the SDK's error; raises UsageError."""
    try:
        yield
    except InvalidRequestError as error:
        raise UsageError(f"{place}: {error}") from error


def choose_input(
    interface: ModelInterface, suits: Callable[[TensorInterface], bool], content: str, source: str
) -> TensorInterface:
    """Return the model's only input; raises UsageError if the content does not suit it, or if there are several."""
    suitable = [tensor for tensor in interface.inputs if suits(tensor)]
    if len(suitable) == len(interface.inputs) == 1:
        return suitable[0]
    names = " and ".join(tensor.name for tensor in suitable) or "none"
    raise UsageError(
        f"{source}: {content} can be the value of a single input, but {interface.shown}. Inputs for which {content} is "
        f"suitable: {names}. To pass all inputs, use JSON"
    )
