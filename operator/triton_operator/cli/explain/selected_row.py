"""Read the input of `tritonctl explain` and select its row.

Input: the options that name files, texts and a row. Output: the request, its row, and the options that the file gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triton_operator.cli.explain.row import Row, choose_row, column_names

if TYPE_CHECKING:
    from triton_operator.cli.inputs.read import CommandInput
    from triton_operator.sdk.interface import ModelInterface
    from triton_operator.sdk.protocol_json import RequestBody


@dataclass
class SelectedRow:
    """The options that select a row, and the input that was read."""

    files: list[Path]
    texts: list[str]
    number: int
    invert: bool
    names: str
    input_name: str
    found: CommandInput | None = None

    @property
    def of_image(self) -> bool:
        """Whether an image file was read."""
        return self.found is not None and self.found.input_format.name == "IMAGE"

    def read(self, interface: Callable[[], ModelInterface]) -> RequestBody:
        """The request in the file or the text; raises UsageError."""
        from triton_operator.cli.inputs.read import read_input

        self.found = read_input(self.files, self.texts, interface, invert=self.invert)
        return self.found.request

    def row(self, request: RequestBody, interface: ModelInterface) -> Row:
        """The selected row of the request; raises UsageError."""
        by_rows = all(tensor.batched for tensor in interface.inputs)
        return choose_row(request.inputs, self.number, by_rows=by_rows)

    def options(self, row: Row, options: dict[str, Any]) -> dict[str, Any]:
        """The options, with the column names and the background from the file."""
        explained = row.explained_input(self.input_name)
        array = row.inputs[explained]
        named = self.found.columns.get(explained, ()) if self.found and array.dtype.kind != "O" else ()
        names = column_names(self.names, named, array.size)
        return options | {"names": names, "background": row.others[explained]}
