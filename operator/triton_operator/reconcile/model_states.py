"""How far each model has come in the newest pods: `status.models`.

Pure. Versions and digests come from `prepare`'s termination message, failures from the pods' diagnoses; that a model is
loaded is the kubelet's readiness, because Triton's own readiness is strict and covers every model.
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
"""What else a termination message may have there, the API server would refuse, and with it the whole status."""


def derive_models(
    deployment: ModelDeployment,
    pods: Sequence[Pod],
    diagnoses: Sequence[Diagnosis],
    mixed: Mapping[str, Sequence[Variant]],
    *,
    any_ready: bool,
) -> tuple[ModelStatus, ...]:
    """One entry for each model of the spec, in its order; `pods` are those of the current revision."""
    prepared = prepared_models(pods)
    blamed = {diagnosis.model: diagnosis for diagnosis in reversed(diagnoses) if diagnosis.model}
    found = (
        _state(model.name, prepared.get(model.name), blamed.get(model.name), any_ready=any_ready)
        for model in deployment.spec.models
    )
    return tuple(_mix(status, mixed[status.name]) if status.name in mixed else status for status in found)


def prepared_models(pods: Sequence[Pod]) -> dict[str, PreparedModel]:
    """What `prepare` laid out in the newest pod in which it succeeded."""
    for pod in reversed(pods):
        report = read_report(pod)
        if report:
            return {model.name: model for model in report.models}
    return {}


def _mix(status: ModelStatus, variants: Sequence[Variant]) -> ModelStatus:
    """No single digest is true of it any more."""
    message = join(f"replicas have different contents: {describe(variants)}", status.message)
    state = status.state if status.state is ModelState.FAILED else ModelState.MIXED
    return ModelStatus(name=status.name, state=state, versions=status.versions, message=message)


def _state(name: str, prepared: PreparedModel | None, blame: Diagnosis | None, *, any_ready: bool) -> ModelStatus:
    """A model that some replica serves is Ready; what another replica says against it stands in the message."""
    if any_ready:
        state = ModelState.READY
    elif blame:
        state = ModelState.FAILED
    else:
        state = ModelState.PREPARED if prepared else ModelState.PENDING
    return ModelStatus(
        name=name,
        state=state,
        versions=tuple(filter(_VERSION.fullmatch, prepared.versions)) if prepared else (),
        digest=prepared.digest if prepared and _DIGEST.fullmatch(prepared.digest) else "",
        message=clip(blame.message) if blame else "",
    )
