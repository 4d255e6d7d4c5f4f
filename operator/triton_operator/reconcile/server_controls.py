"""Privacy controls of the server: its administration APIs, images and release. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.conditions import Reason
from triton_operator.api.privacy import Profile
from triton_operator.api.status import ControlName, ControlState, Truth
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.judged_control import JudgedControl, enforced, not_enforced, not_rendered
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.revisions_in_use import RevisionsInUse
from triton_operator.reconcile.vulnerability import judge_vulnerability
from triton_operator.resources.air_gap import is_by_digest
from triton_operator.resources.pod import open_endpoints

_STATES = {
    Truth.TRUE: ControlState.NOT_ENFORCED,
    Truth.FALSE: ControlState.ENFORCED,
    Truth.UNKNOWN: ControlState.UNKNOWN,
}
"""The state of the control ServerRelease for each status of the condition RuntimeVulnerable."""


def judge_server(assessment: Assessment, used: RevisionsInUse) -> Iterator[JudgedControl]:
    """The controls of the server."""
    yield _admin_apis(assessment, used)
    images, release = _images_by_digest(used), _server_release(assessment)
    if assessment.observed.deployment.spec.privacy.profile is Profile.AIR_GAPPED:
        yield from (_model_sources(used), images, release)
        return
    # Not required: to move a tag to another image, write access to the registry is necessary.
    yield images.as_advice()
    # Not required: the condition RuntimeVulnerable reports vulnerabilities.
    yield release.as_advice()


def _admin_apis(assessment: Assessment, used: RevisionsInUse) -> JudgedControl:
    """Every revision closes the APIs, and flags in `extraArgs` that would open them are rejected."""
    if not used.revisions:
        return not_rendered(ControlName.ADMIN_APIS)
    message = "Triton's administration APIs are closed over HTTP and gRPC"
    opened = open_endpoints(assessment.observed.deployment.spec)
    if opened:
        message += f", except {', '.join(opened)}, which spec.triton.openEndpoints opens"
    return enforced(ControlName.ADMIN_APIS, message)


def _model_sources(used: RevisionsInUse) -> JudgedControl:
    """Pods that were rendered under another profile may serve anything."""
    if not used.revisions:
        return not_rendered(ControlName.MODEL_SOURCES)
    if all(revision.air_gapped for revision in used.revisions):
        message = (
            "every pod serves signed models, from an image by digest, a claim, or a cache that is filled from inside"
        )
        return enforced(ControlName.MODEL_SOURCES, join(message, _substitutes(used)))
    message = "pods of an earlier spec, to which the rules of the profile AirGapped did not apply, still exist"
    return not_enforced(ControlName.MODEL_SOURCES, Reason.NOT_AIR_GAPPED, message)


def _substitutes(used: RevisionsInUse) -> str:
    """Who can answer without the models: one that listens on Triton's port of the loopback first. "" for nobody."""
    added = ", ".join(used.added_containers)
    return f"containers of spec.podTemplate can answer instead of Triton: {added}" if added else ""


def _images_by_digest(used: RevisionsInUse) -> JudgedControl:
    if not used.revisions:
        return not_rendered(ControlName.IMAGES_BY_DIGEST)
    images = dict.fromkeys(container.image for revision in used.revisions for container in revision.containers)
    tagged = [image for image in images if not is_by_digest(image)]
    if not tagged:
        return enforced(ControlName.IMAGES_BY_DIGEST, "all images of the pods are referenced by digest")
    message = f"these images are not referenced by digest, so their content can change: {', '.join(tagged)}"
    return not_enforced(ControlName.IMAGES_BY_DIGEST, Reason.NOT_AIR_GAPPED, message)


def _server_release(assessment: Assessment) -> JudgedControl:
    judged = judge_vulnerability(assessment)
    return JudgedControl(ControlName.SERVER_RELEASE, _STATES[judged.status], judged.reason, judged.message)
