"""`Prediction`: the outputs of one inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.tensors import Array


@dataclass(frozen=True)
class Prediction:
    """The outputs of one inference.

    `outputs` maps each output name to a NumPy array, which may be read-only; text is `bytes`. `seconds` is the duration
    of the call, including retries.
    """

    model: str
    version: str
    outputs: Mapping[str, Array] = field(repr=False)
    seconds: float

    @property
    def output(self) -> Array:
        """The array of the only output; raises InvalidRequestError if there are several."""
        if len(self.outputs) != 1:
            names = ", ".join(self.outputs)
            raise InvalidRequestError("output", f"{self.model} returns {names}; read one of them from `outputs`")
        return next(iter(self.outputs.values()))
