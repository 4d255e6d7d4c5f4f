"""The state of each model in the newest pods: `status.models`.

Pure. Versions and digests come from `prepare`'s termination message, failures from the pods' diagnoses. A model is
loaded when the pod is ready, because Triton's readiness is strict and covers every model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import ModelState, ModelStatus
from triton_operator.cluster.observed import Pod
from triton_operator.reconcile.container_ends import Diagnosis
from triton_operator.reconcile.messages import clip, join
from triton_operator.reconcile.variants import Variant, describe, read_report
from triton_operator.triton.prepare_contract.outcome import PreparedModel

_VERSION = re.compile(r"[0-9]{1,20}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEY_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""The API server would reject any other text from a termination message, and with it the whole status."""


def derive_models(
    deployment: ModelDeployment,
    pods: Sequence[Pod],
    diagnoses: Sequence[Diagnosis],
    differing: Mapping[str, Sequence[Variant]],
    *,
    any_ready: bool,
) -> tuple[ModelStatus, ...]:
    """One entry for each model of the spec, in its order; `pods` are those of the current revision."""
    prepared = prepared_models(pods)
    failures = {diagnosis.model: diagnosis for diagnosis in reversed(diagnoses) if diagnosis.model}
    found = (
        _state(model.name, prepared.get(model.name), failures.get(model.name), any_ready=any_ready)
        for model in deployment.spec.models
    )
    return tuple(_as_mixed(status, differing[status.name]) if status.name in differing else status for status in found)


def prepared_models(pods: Sequence[Pod]) -> dict[str, PreparedModel]:
    """The models of the newest pod in which `prepare` succeeded."""
    for pod in reversed(pods):
        report = read_report(pod)
        if report:
            return {model.name: model for model in report.models}
    return {}


def _as_mixed(status: ModelStatus, variants: Sequence[Variant]) -> ModelStatus:
    """Replicas differ, so there is no single digest."""
    message = join(f"replicas have different content: {describe(variants)}", status.message)
    state = status.state if status.state is ModelState.FAILED else ModelState.MIXED
    return ModelStatus(name=status.name, state=state, versions=status.versions, message=message)


def _state(name: str, prepared: PreparedModel | None, failure: Diagnosis | None, *, any_ready: bool) -> ModelStatus:
    """A model that some replica serves is Ready; the failure of another replica is in the message."""
    if any_ready:
        state = ModelState.READY
    elif failure:
        state = ModelState.FAILED
    else:
        state = ModelState.PREPARED if prepared else ModelState.PENDING
    return ModelStatus(
        name=name,
        state=state,
        versions=tuple(filter(_VERSION.fullmatch, prepared.versions)) if prepared else (),
        digest=prepared.digest if prepared and _DIGEST.fullmatch(prepared.digest) else "",
        signed_by=prepared.signed_by if prepared and _KEY_NAME.fullmatch(prepared.signed_by) else "",
        scan=prepared.scan if prepared else None,
        message=clip(failure.message) if failure else "",
    )
