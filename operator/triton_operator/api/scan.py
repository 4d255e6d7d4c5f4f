"""What the scan of a model's files found: `spec.verification.scan` and `status.models[].scan`.

`scan` makes the findings, `prepare` reports them to the operator, which copies them into the status, and the CLI prints
them.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class Scan(StrEnum):
    """What `prepare` does with a model that has findings: not start the pod, or report them and serve the model."""

    REFUSE = "Refuse"
    WARN = "Warn"


class FindingKind(StrEnum):
    """The kinds of findings; the comments say what each kind means."""

    OPERATOR = "Operator"  # TorchScript code uses an operator that leaves the sandbox, or hides which one it uses.
    PICKLED_TYPE = "PickledType"  # A pickle names a type that no model needs, or cannot be read.
    ARCHIVE = "Archive"  # Readers could differ in what the archive contains, or it cannot be read.
    SIZE = "Size"  # A declared size is disproportionate, or more than the scan reads.
    UNRESTRICTED_CODE = "UnrestrictedCode"  # Python or native code, which the scan cannot judge.


class ScanFinding(Struct, frozen=True):
    """One finding: `file` is relative to the model's folder, `entry` is a member of that archive or "".

    `kind` is a FindingKind; it is text, because an operator reads the reports of newer releases.
    """

    kind: str
    file: str
    entry: str
    message: str

    @property
    def shown(self) -> str:
        """The finding in one line."""
        place = f"{self.file}: {self.entry}" if self.entry else self.file
        return f"{place}: {self.message}"


class ScanResult(Struct, frozen=True):
    """The number of findings of a model, and the first of them."""

    total: int
    findings: tuple[ScanFinding, ...] = ()
