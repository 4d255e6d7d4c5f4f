"""What `spec.podTemplate` may add to the operator's containers: `triton`, `prepare` and `proxy`.

Pure. The status and the privacy controls rely on the image, the command, the ports and the probes of these containers,
so a template cannot change them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from triton_operator.api.errors import Problem
from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_PROXY, CONTAINER_TRITON
from triton_operator.api.pod_parts import ContainerParts, VolumeMount
from triton_operator.resources.pod_template.containers import check_mount, check_variables
from triton_operator.resources.pod_template.pod_facts import OWN_CONTAINERS, PodFacts
from triton_operator.resources.pod_template.resources import check_resources
from triton_operator.resources.user_environment import why_rejected

FOLDERS = ("/data", "/media", "/mnt", "/srv")
"""Where volumes may be mounted in Triton's container. Images have no programs and libraries there, which a mount could
replace, and the operator no volumes."""

_ALLOWED = {
    CONTAINER_TRITON: frozenset({"name", "env", "imagePullPolicy", "resources", "volumeMounts"}),
    CONTAINER_PREPARE: frozenset({"name", "imagePullPolicy"}),
    CONTAINER_PROXY: frozenset({"name", "imagePullPolicy"}),
}
"""The fields of each container that a template may have."""

_INSTEAD = {
    (CONTAINER_TRITON, "args"): "use spec.triton.extraArgs",
    (CONTAINER_TRITON, "envFrom"): "use spec.envFrom",
    (CONTAINER_TRITON, "image"): "use spec.triton.image",
    (CONTAINER_TRITON, "lifecycle"): "use spec.lifecycle",
    (CONTAINER_TRITON, "startupProbe"): "use spec.lifecycle.startupTimeoutSeconds",
    (CONTAINER_PREPARE, "resources"): "use spec.prepare.resources",
    (CONTAINER_PROXY, "resources"): "use spec.privacy.proxy.resources",
}
"""The field of the spec that changes the same."""

_OF_SPEC = {
    "cpu": "spec.resources",
    "memory": "spec.resources",
    "ephemeral-storage": "spec.resources",
}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_.-]{0,127}")
"""Names of variables, as in `spec.env`. Bash runs code in variables with names such as BASH_FUNC_exec%%."""
_NOT_A_NAME = "is not the name of a variable: letters, digits, _, - and ., at most 128, beginning with a letter or _"
_GPUS = ("amd.com/gpu", "gpu.intel.com/", "habana.ai/", "nvidia.com/")
"""Beginnings of the names of GPUs."""


def check_own_container(
    container: ContainerParts, given: dict[str, Any], listed: str, path: str, facts: PodFacts
) -> Iterator[Problem]:
    """An entry with the name of one of the operator's containers; `given` is the entry as the user wrote it."""
    name = container.name
    if OWN_CONTAINERS[name] != listed:
        yield Problem(f"{path}.name", f"{name} is the name of a container that the operator adds; choose another name")
        return
    if name not in facts.own_containers:
        yield Problem(f"{path}.name", f"the pods have no container {name} in this TLS mode, and its name is reserved")
        return
    for field in sorted(given.keys() - _ALLOWED[name]):
        instead = _INSTEAD.get((name, field), "remove it")
        yield Problem(f"{path}.{field}", f"cannot be changed in the container {name} of the operator; {instead}")
    if name == CONTAINER_TRITON:
        yield from _check_variables(container, path, facts)
        yield from _check_resources(container, path, facts)
        for index, mount in enumerate(container.volume_mounts):
            yield from _check_mount(mount, f"{path}.volumeMounts[{index}]", facts)


def _check_variables(container: ContainerParts, path: str, facts: PodFacts) -> Iterator[Problem]:
    """By the same rules as `spec.env`."""
    yield from check_variables(container, path, facts)
    for index, variable in enumerate(container.env):
        if not _VARIABLE.fullmatch(variable.name):
            yield Problem(f"{path}.env[{index}].name", f"{variable.name!r} {_NOT_A_NAME}")
        elif message := why_rejected(variable.name, facts.own_variables, private=facts.profile.is_private):
            yield Problem(f"{path}.env[{index}].name", f"{variable.name} {message}")


def _check_resources(container: ContainerParts, path: str, facts: PodFacts) -> Iterator[Problem]:
    """Only resources for which the spec has no field, such as huge pages, may be added."""
    place = f"{path}.resources"
    of_spec = dict(_check_fields_of_spec(container, place, facts))
    yield from (Problem(where, message) for where, message in of_spec.items())
    others = check_resources(container.resources, place, facts)
    yield from (problem for problem in others if problem.path not in of_spec)


def _check_fields_of_spec(container: ContainerParts, path: str, facts: PodFacts) -> Iterator[tuple[str, str]]:
    """(path, message) of each resource for which the spec has a field."""
    for kind, quantities in (("requests", container.resources.requests), ("limits", container.resources.limits)):
        for name in quantities:
            is_gpu = name.startswith(_GPUS) or name == facts.gpu
            if field := "spec.gpu" if is_gpu else _OF_SPEC.get(name):
                yield f"{path}.{kind}.{name}", f"cannot be changed here; use {field}"


def _check_mount(mount: VolumeMount, path: str, facts: PodFacts) -> Iterator[Problem]:
    yield from check_mount(mount, path, facts)
    where = posixpath.normpath(mount.mount_path)
    if not any(where == folder or where.startswith(f"{folder}/") for folder in FOLDERS):
        message = f"must be below {', '.join(FOLDERS)} in Triton's container, so that it replaces no program or library"
        yield Problem(f"{path}.mountPath", message)
    if facts.decrypts and not mount.read_only:
        message = "must be true with spec.decryption, so that decrypted models stay in memory"
        yield Problem(f"{path}.readOnly", message)
