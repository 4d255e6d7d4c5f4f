"""Claims of devices (dynamic resource allocation, resource.k8s.io) of a serving pod and its container `triton`.

Pure. Input: a spec. Output: fields of a PodSpec and of a container's resources. Kubernetes creates a claim for each pod
from a template, and deletes it with the pod.
"""

from __future__ import annotations

from triton_operator.api.gpu import DeviceClaim, Gpu
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest


def pod_claims(spec: Spec) -> Manifest:
    """The field `resourceClaims` of the pod; nothing without claims."""
    claims = spec.gpu.resource_claims if spec.gpu else ()
    return {"resourceClaims": [_pod_claim(claim) for claim in claims]} if claims else {}


def container_claims(gpu: Gpu) -> list[Manifest]:
    """The field `claims` of the container's resources."""
    return [{"name": each.name} | ({"request": each.request} if each.request else {}) for each in gpu.resource_claims]


def _pod_claim(claim: DeviceClaim) -> Manifest:
    if claim.resource_claim_name:
        return {"name": claim.name, "resourceClaimName": claim.resource_claim_name}
    return {"name": claim.name, "resourceClaimTemplateName": claim.resource_claim_template_name}
