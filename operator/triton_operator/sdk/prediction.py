"""One answer of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.tensors import Array


@dataclass(frozen=True)
class Prediction:
    """Output arrays by name, to be read, not written; texts are `bytes`.

    `seconds` is what the caller waited, client, network and repetitions included.
    """

    model: str
    version: str
    outputs: Mapping[str, Array] = field(repr=False)
    seconds: float

    @property
    def output(self) -> Array:
        """The output of a model that has one; raises InvalidRequestError where there are several."""
        if len(self.outputs) != 1:
            raise InvalidRequestError("output", f"{self.model} gave {', '.join(self.outputs)}; choose one of `outputs`")
        return next(iter(self.outputs.values()))
