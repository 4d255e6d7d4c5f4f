"""CPU, memory and ephemeral storage of each container: the user's values and the defaults.

Pure; `pod` and `cache_job` render them. Namespaces restrict these values (ResourceQuota, LimitRange), and the operator
does not read the restrictions. The user's values for Triton's container satisfy them, so they are the defaults of the
other containers.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.quantity import smaller
from triton_operator.api.resources import Resources
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest

DEFAULT_REQUESTS: dict[str, str] = {"cpu": "250m", "memory": "512Mi"}
"""Default requests; an autoscaler on CPU needs a request as its reference."""

JOB_AT_MOST: dict[str, str] = {"cpu": "1", "memory": "1Gi"}
"""Of the Job that fills a cache, whatever Triton gets: it needs less than 100 MB itself, and runs next to the pods."""

SCRATCH_AT_MOST = "100Gi"
"""Of a volume on the node's disk that holds models, where the user limits no scratch space: more than most of them
need, and less than a node's disk, so that a server which never ends its answer does not fill it."""


def default_requests(spec: Spec) -> dict[str, str]:
    """What is asked for Triton's container where the user says nothing."""
    # A limit alone is a request of the same size to Kubernetes, so a default would only be in its way.
    return {name: value for name, value in DEFAULT_REQUESTS.items() if name not in _names(spec.resources)}


def server_resources(spec: Spec) -> Manifest:
    """Of Triton's container, GPUs included."""
    resources = _of_server(spec)
    if spec.gpu:
        gpus: dict[str, str | int] = {spec.gpu.resource_name: str(spec.gpu.count)}
        resources = Resources(requests=resources.requests | gpus, limits=resources.limits | gpus)
    return _manifest(resources)


def prepare_resources(spec: Spec) -> Manifest:
    """Of `prepare` in a serving pod: Triton's without GPUs, except for what the user names.

    The two run one after the other, and Kubernetes counts the larger one, so this costs nothing.
    """
    return _manifest(_overlay(_of_server(spec), spec.prepare.resources))


def scratch_limit(spec: Spec) -> str:
    """The size of a volume into which `prepare` writes models, as the user limits the scratch space of `prepare`.

    Its only other writable volumes are small ones with sizes of their own.
    """
    return str(_overlay(_of_server(spec), spec.prepare.resources).limits.get("ephemeral-storage", SCRATCH_AT_MOST))


def job_resources(spec: Spec) -> Manifest:
    """Of the Job that fills a cache: as `prepare` in a serving pod, of Triton's at most JOB_AT_MOST."""
    server = _of_server(spec)
    resources = Resources(requests=_capped(server.requests), limits=_capped(server.limits))
    resources = _overlay(resources, spec.prepare.resources)
    return _manifest(_overlay(resources, spec.cache.resources) if spec.cache else resources)


def job_resources_said(spec: Spec) -> Manifest | None:
    """`job_resources` where the user says anything that they depend on, None where all are defaults."""
    said = (spec.resources, spec.prepare.resources, spec.cache.resources if spec.cache else Resources())
    return job_resources(spec) if any(_names(resources) for resources in said) else None


def describe(resources: Manifest) -> str:
    """In one line, such as `cpu 250m, memory 512Mi to 1Gi`: what is asked for, and after `to` the limit."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    return ", ".join(_describe(name, requests.get(name), limits.get(name)) for name in sorted(requests | limits))


def _describe(name: str, request: str | None, limit: str | None) -> str:
    values = dict.fromkeys(value for value in (request, limit) if value is not None)
    return f"{name} {' to '.join(values)}"


def _of_server(spec: Spec) -> Resources:
    return Resources(requests={**default_requests(spec), **spec.resources.requests}, limits=spec.resources.limits)


def _overlay(base: Resources, said: Resources) -> Resources:
    """`base` with what is `said`: a request of one and a limit of the other might contradict each other."""
    names = _names(said)
    return Resources(
        requests={name: value for name, value in base.requests.items() if name not in names} | said.requests,
        limits={name: value for name, value in base.limits.items() if name not in names} | said.limits,
    )


def _capped(quantities: dict[str, str | int]) -> dict[str, str | int]:
    return {name: smaller(str(value), JOB_AT_MOST.get(name, str(value))) for name, value in quantities.items()}


def _names(resources: Resources) -> set[str]:
    return resources.requests.keys() | resources.limits.keys()


def _manifest(resources: Resources) -> Manifest:
    """As a container has it: text, and no empty member, which server-side apply would own."""
    both: dict[str, dict[str, Any]] = {"requests": resources.requests, "limits": resources.limits}
    return {
        kind: {name: str(value) for name, value in quantities.items()}
        for kind, quantities in both.items()
        if quantities
    }
