"""What the checks need to know about the pod into which a template is merged.

Pure. The facts come from the pod that the operator renders for the spec, so that they cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_PROXY, CONTAINER_TRITON
from triton_operator.api.privacy import Profile
from triton_operator.api.spec import Metadata, ModelDeployment, Spec
from triton_operator.resources.own_secrets import own_secrets
from triton_operator.resources.pod import render_structure
from triton_operator.resources.server_environment import server_environment

OWN_CONTAINERS = {
    CONTAINER_PREPARE: "initContainers",
    CONTAINER_PROXY: "initContainers",
    CONTAINER_TRITON: "containers",
}
"""The list of each container that the operator adds. The names are reserved even in pods without the container."""


class PodFacts(NamedTuple):
    """The names of the operator's containers and volumes, and of the reserved Secrets.

    `own_variables` are Triton's variables and their reasons. `gpu` is the name of the GPUs, "" without them.
    `given_volumes` are the names of the template's volumes.
    """

    profile: Profile
    decrypts: bool
    gpu: str
    own_containers: frozenset[str]
    own_variables: dict[str, str]
    own_volumes: frozenset[str]
    own_secrets: frozenset[str]
    own_claims: frozenset[str] = frozenset()
    own_constraints: tuple[dict[str, Any], ...] = ()
    given_volumes: frozenset[str] = frozenset()


def gather_facts(spec: Spec, name: str, given_volumes: Iterable[str]) -> PodFacts:
    """The facts about the pods of the object with this name."""
    pod = render_structure(ModelDeployment(Metadata(name, namespace=""), spec))["spec"]
    volumes: list[dict[str, Any]] = pod["volumes"]
    return PodFacts(
        profile=spec.privacy.profile,
        decrypts=spec.decryption is not None,
        gpu=spec.gpu.extended_resource if spec.gpu else "",
        own_containers=frozenset(each["name"] for each in [*pod["initContainers"], *pod["containers"]]),
        own_variables={variable.name: variable.reason for variable in server_environment(spec)},
        own_volumes=frozenset(volume["name"] for volume in volumes),
        own_secrets=own_secrets(spec, name),
        own_claims=frozenset(claim["name"] for claim in pod.get("resourceClaims", ())),
        own_constraints=tuple(pod.get("topologySpreadConstraints", ())),
        given_volumes=frozenset(given_volumes),
    )
