"""The data that `tritonctl privacy` prints. Its JSON form is documented in docs/privacy.md.

Every field is always present, so that a program can rely on it; "" and an empty list mean that there is no value.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.status import ControlState, ModelState, Truth

SCHEMA = "triton-operator.io/privacy-report/v1"
"""Changes if a field is removed or gets another meaning."""


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """Common options: camelCase, with all fields."""


class EvidenceItem(_Part, frozen=True):
    """An object or a setting that shows the state, and facts about it by name."""

    subject: str
    facts: dict[str, str]


class ClusterIdentity(_Part, frozen=True):
    """The API server that was read, as the kubeconfig names it, and its version."""

    server: str
    version: str


class Subject(_Part, frozen=True):
    """The ModelDeployment, and the generation of its spec that the operator has observed."""

    namespace: str
    name: str
    uid: str
    generation: int
    observed_generation: int
    profile: str


class PrivacyVerdict(_Part, frozen=True):
    """The condition PrivacyEnforced; Unknown if the operator has not reported on the latest generation."""

    status: Truth
    reason: str
    message: str
    since: str

    @property
    def is_enforced(self) -> bool:
        """Whether all controls that the profile requires are enforced."""
        return self.status is Truth.TRUE


class ControlEvidence(_Part, frozen=True):
    """One privacy control; `since` is when its state last changed, "" if the operator does not report it."""

    name: str
    state: ControlState
    required: bool
    since: str
    message: str
    evidence: tuple[EvidenceItem, ...]


class ReportedFinding(_Part, frozen=True):
    """Something that the scan found in a model: its kind, the file, the member of that archive or "", and why."""

    kind: str
    file: str
    entry: str
    message: str


class ModelEvidence(_Part, frozen=True):
    """One model: where its files come from, their digest, the name of the key that signed them, and the scan.

    `scanned` is whether the scan is reported; `findings` are the first of `finding_count`.
    """

    name: str
    state: ModelState
    versions: tuple[str, ...]
    digest: str
    signed_by: str
    repository: str
    message: str
    scanned: bool
    finding_count: int
    findings: tuple[ReportedFinding, ...]

    @property
    def scan(self) -> str:
        """The result of the scan in words."""
        if not self.scanned:
            return "not reported"
        return f"{self.finding_count} finding{'' if self.finding_count == 1 else 's'}"


class Setting(_Part, frozen=True):
    """A setting that protects models, which is not a control of the status."""

    name: str
    value: str
    evidence: tuple[EvidenceItem, ...]


class Limit(_Part, frozen=True):
    """Something that no control protects against."""

    title: str
    text: str


class NotRead(_Part, frozen=True):
    """Evidence that is missing, and why."""

    what: str
    why: str


class PrivacyReport(_Part, frozen=True):
    """The report on one deployment, in the order in which it is printed."""

    schema: str
    time: str
    program: str
    cluster: ClusterIdentity
    deployment: Subject
    verdict: PrivacyVerdict
    controls: tuple[ControlEvidence, ...]
    models: tuple[ModelEvidence, ...]
    settings: tuple[Setting, ...]
    not_covered: tuple[Limit, ...]
    not_read: tuple[NotRead, ...]
