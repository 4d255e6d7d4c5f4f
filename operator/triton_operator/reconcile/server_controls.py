"""Privacy controls of the server: its administration APIs, images and release. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.status import ControlName, ControlState, Truth
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.judged_control import JudgedControl, enforced, not_enforced, not_rendered
from triton_operator.reconcile.revisions_in_use import RevisionsInUse
from triton_operator.reconcile.vulnerability import judge_vulnerability
from triton_operator.resources.pod import open_endpoints

_BY_DIGEST = "@sha256:"
_STATES = {
    Truth.TRUE: ControlState.NOT_ENFORCED,
    Truth.FALSE: ControlState.ENFORCED,
    Truth.UNKNOWN: ControlState.UNKNOWN,
}
"""The state of the control ServerRelease for each status of the condition RuntimeVulnerable."""


def judge_server(assessment: Assessment, used: RevisionsInUse) -> Iterator[JudgedControl]:
    """The controls of the server."""
    yield _admin_apis(assessment, used)
    # Not required: to move a tag to another image, write access to the registry is necessary.
    yield _images_by_digest(used).as_advice()
    # Not required: the condition RuntimeVulnerable reports vulnerabilities.
    yield _server_release(assessment).as_advice()


def _admin_apis(assessment: Assessment, used: RevisionsInUse) -> JudgedControl:
    """Every revision closes the APIs, and flags in `extraArgs` that would open them are rejected."""
    if not used.revisions:
        return not_rendered(ControlName.ADMIN_APIS)
    message = "Triton's administration APIs are closed over HTTP and gRPC"
    opened = open_endpoints(assessment.observed.deployment.spec)
    if opened:
        message += f", except {', '.join(opened)}, which spec.triton.openEndpoints opens"
    return enforced(ControlName.ADMIN_APIS, message)


def _images_by_digest(used: RevisionsInUse) -> JudgedControl:
    if not used.revisions:
        return not_rendered(ControlName.IMAGES_BY_DIGEST)
    images = dict.fromkeys(container.image for revision in used.revisions for container in revision.containers)
    tagged = [image for image in images if _BY_DIGEST not in image]
    if not tagged:
        return enforced(ControlName.IMAGES_BY_DIGEST, "all images of the pods are referenced by digest")
    message = f"these images are not referenced by digest, so their content can change: {', '.join(tagged)}"
    return not_enforced(ControlName.IMAGES_BY_DIGEST, "", message)


def _server_release(assessment: Assessment) -> JudgedControl:
    judged = judge_vulnerability(assessment)
    return JudgedControl(ControlName.SERVER_RELEASE, _STATES[judged.status], judged.reason, judged.message)
