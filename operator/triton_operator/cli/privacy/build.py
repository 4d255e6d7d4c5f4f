"""Build the report on one deployment.

Pure. Input: an `Observed` and the time. Output: a `PrivacyReport`. The states are those that the operator reports; what
the report adds is the evidence for them and what they do not cover.
"""

from __future__ import annotations

from datetime import datetime

from triton_operator import __version__
from triton_operator.api.conditions import PRIVACY_ENFORCED
from triton_operator.api.model import Model
from triton_operator.api.privacy import Profile
from triton_operator.api.spec import ModelDeployment, Spec, parse
from triton_operator.api.status import Control, ModelState, ModelStatus, Status, Truth
from triton_operator.cli.privacy.evidence import control_evidence, protections
from triton_operator.cli.privacy.limits import NOT_COVERED
from triton_operator.cli.privacy.models import repository_of
from triton_operator.cli.privacy.observed import Observed
from triton_operator.cli.privacy.report import (
    SCHEMA,
    ClusterIdentity,
    ControlEvidence,
    ModelEvidence,
    PrivacyReport,
    PrivacyVerdict,
    ReportedFinding,
    Subject,
)
from triton_operator.reconcile.times import format_time
from triton_operator.sdk.status import NOT_SEEN, OUTDATED, find_condition, read_status

PROFILE_OPEN = "ProfileOpen"
"""A reason of this report: the profile has no controls."""


def build_report(observed: Observed, now: datetime) -> PrivacyReport:
    """The report; raises SdkError or InvalidSpecError if the deployment cannot be decoded."""
    deployment, status = parse(observed.deployment), read_status(observed.deployment)
    controls = status.privacy.controls if status.privacy else ()
    return PrivacyReport(
        schema=SCHEMA,
        time=format_time(now),
        program=f"tritonctl {__version__}",
        cluster=ClusterIdentity(observed.server, observed.version),
        deployment=_subject(deployment, status),
        verdict=_verdict(deployment, status),
        controls=tuple(_control(control, deployment, status, observed) for control in controls),
        models=tuple(_model(model, deployment.spec, status) for model in deployment.spec.models),
        settings=protections(deployment, observed),
        not_covered=NOT_COVERED,
        not_read=observed.not_read,
    )


def _subject(deployment: ModelDeployment, status: Status) -> Subject:
    metadata = deployment.metadata
    return Subject(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        observed_generation=status.observed_generation,
        profile=deployment.spec.privacy.profile,
    )


def _verdict(deployment: ModelDeployment, status: Status) -> PrivacyVerdict:
    """PrivacyEnforced, if it is about the latest generation."""
    if deployment.spec.privacy.profile is Profile.OPEN:
        message = "spec.privacy.profile is Open, which has no controls; the profile Private restricts traffic"
        return PrivacyVerdict(Truth.FALSE, PROFILE_OPEN, message, "")
    found = find_condition(status, PRIVACY_ENFORCED)
    if found is None:
        message = "the operator has not reported on this object yet; is it running, and does it watch this namespace?"
        return PrivacyVerdict(Truth.UNKNOWN, NOT_SEEN, message, "")
    if status.observed_generation < deployment.metadata.generation:
        reported = f"the last reported state is {found.status} ({found.reason})"
        message = f"the operator has not processed the latest change yet; {reported}"
        return PrivacyVerdict(Truth.UNKNOWN, OUTDATED, message, found.last_transition_time)
    return PrivacyVerdict(found.status, found.reason, found.message, found.last_transition_time)


def _control(control: Control, deployment: ModelDeployment, status: Status, observed: Observed) -> ControlEvidence:
    return ControlEvidence(
        name=control.name,
        state=control.state,
        required=control.required,
        since=control.last_transition_time,
        message=control.message,
        evidence=control_evidence(control.name, deployment, status, observed),
    )


def _model(model: Model, spec: Spec, status: Status) -> ModelEvidence:
    found = next((each for each in status.models if each.name == model.name), None)
    found = found or ModelStatus(model.name, ModelState.PENDING)
    return ModelEvidence(
        name=model.name,
        state=found.state,
        versions=found.versions,
        digest=found.digest,
        signed_by=found.signed_by,
        repository=repository_of(model, spec),
        message=found.message,
        scanned=found.scan is not None,
        finding_count=found.scan.total if found.scan else 0,
        findings=tuple(
            ReportedFinding(each.kind, each.file, each.entry, each.message)
            for each in (found.scan.findings if found.scan else ())
        ),
    )
