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
"""By the status of RuntimeVulnerable."""


def judge_server(assessment: Assessment, used: RevisionsInUse) -> Iterator[JudgedControl]:
    """The controls of the server."""
    yield _admin_apis(assessment, used)
    # A tag can be moved to another image, but that takes access to the registry.
    yield _images_by_digest(used).as_advice()
    # The condition RuntimeVulnerable reports it.
    yield _server_release(assessment).as_advice()


def _admin_apis(assessment: Assessment, used: RevisionsInUse) -> JudgedControl:
    """Every revision closes them, and `extraArgs` with these flags are rejected."""
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
        return enforced(ControlName.IMAGES_BY_DIGEST, "all images of the pods are given by digest")
    message = f"without a digest, another image can take the place of: {', '.join(tagged)}"
    return not_enforced(ControlName.IMAGES_BY_DIGEST, "", message)


def _server_release(assessment: Assessment) -> JudgedControl:
    judged = judge_vulnerability(assessment)
    return JudgedControl(ControlName.SERVER_RELEASE, _STATES[judged.status], judged.reason, judged.message)
