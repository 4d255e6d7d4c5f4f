"""CPU, memory and ephemeral storage of each container: the user's values and the defaults.

Pure; `pod` and `cache_job` render them. Namespaces restrict these values (ResourceQuota, LimitRange), and the operator
does not read the restrictions. The user's values for Triton's container satisfy them, so they are the defaults of the
other containers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from triton_operator.api.quantity import MI, format_bytes, format_cpus, parse_exact, smaller
from triton_operator.api.resources import Resources
from triton_operator.api.spec import Spec
from triton_operator.resources.device_claims import container_claims
from triton_operator.resources.metadata import Manifest

DEFAULT_REQUESTS: dict[str, str] = {"cpu": "250m", "memory": "512Mi"}
"""Default requests; an autoscaler on CPU needs a request as its reference."""

JOB_AT_MOST: dict[str, str] = {"cpu": "1", "memory": "1Gi"}
"""Maximum defaults of the Job that fills a cache: it needs less than 100 MB and runs at the same time as the pods."""

PROXY_REQUESTS: dict[str, str | int] = {"cpu": "50m", "memory": "64Mi"}
PROXY_LIMITS: dict[str, str | int] = {"memory": "256Mi"}
"""The sidecar `proxy` needs 60 MB, and about 40 kB for each connection. It has no CPU limit: a throttled proxy delays
every request."""

PROXY_SCRATCH_AT_MOST = "64Mi"
"""Its limit of ephemeral storage if Triton's container has one: it writes only its log."""


class _Share(NamedTuple):
    """The part of Triton's limit that the sidecar `proxy` gets, between its default request and `most`."""

    part: Fraction
    least: Fraction
    most: Fraction
    format: Callable[[Fraction], str]


_PROXY_SHARES = {
    # The proxy needs 50 µs for a request for which Triton needs at least 200 µs.
    "cpu": _Share(Fraction(1, 4), Fraction(50, 1000), Fraction(2), format_cpus),
    "memory": _Share(Fraction(1), Fraction(64 * MI), Fraction(256 * MI), lambda count: format_bytes(math.ceil(count))),
}

SCRATCH_AT_MOST = "100Gi"
"""Default size limit of a volume for models on the node's disk.

It is more than most models need and less than a node's disk, so that an endless response does not fill the disk.
"""


def default_requests(spec: Spec) -> dict[str, str]:
    """The requests of Triton's container for resources that the user does not set."""
    # Kubernetes uses a limit without a request as the request, so there must be no default request.
    return {name: value for name, value in DEFAULT_REQUESTS.items() if name not in _names(spec.resources)}


def server_resources(spec: Spec) -> Manifest:
    """The resources of Triton's container, including GPUs."""
    resources = _of_server(spec)
    if spec.gpu and spec.gpu.resource_claims:
        return _manifest(resources) | {"claims": container_claims(spec.gpu)}
    if spec.gpu:
        gpus: dict[str, str | int] = {spec.gpu.extended_resource: str(spec.gpu.count)}
        resources = Resources(requests=resources.requests | gpus, limits=resources.limits | gpus)
    return _manifest(resources)


def prepare_resources(spec: Spec) -> Manifest:
    """The resources of `prepare` in a serving pod: those of Triton without GPUs, unless the user sets others.

    The containers run one after the other and Kubernetes counts the larger request, so this does not reserve more.
    """
    return _manifest(_overlay(_of_server(spec), spec.prepare.resources))


def proxy_resources(spec: Spec) -> Manifest:
    """The resources of the sidecar `proxy`, which runs at the same time as Triton, unless the user sets others.

    If the user limits a resource of Triton's container, the sidecar gets a limit, too, and both containers have the
    same ratio of request and limit.
    """
    requests, limits = {**PROXY_REQUESTS}, {**PROXY_LIMITS}
    for name, share in _PROXY_SHARES.items():
        if name in spec.resources.limits:
            requests[name], limits[name] = _proxy_share(spec.resources, name, share)
    if scratch := spec.resources.limits.get("ephemeral-storage"):
        limits["ephemeral-storage"] = smaller(PROXY_SCRATCH_AT_MOST, str(scratch))
    return _manifest(_overlay(Resources(requests=requests, limits=limits), spec.privacy.proxy.resources))


def _proxy_share(server: Resources, name: str, share: _Share) -> tuple[str, str]:
    """The request and the limit."""
    limit = parse_exact(str(server.limits[name])) or share.most
    # Kubernetes uses a limit without a request as the request.
    request = parse_exact(str(server.requests.get(name, ""))) or limit
    own = min(limit, share.most, max(limit * share.part, share.least))
    return share.format(min(own, max(own * request / limit, share.least))), share.format(own)


def scratch_limit(spec: Spec) -> str:
    """The size limit of a volume to which `prepare` writes models: the ephemeral-storage limit of `prepare`.

    The other writable volumes of `prepare` are small and have their own size limits.
    """
    return str(_overlay(_of_server(spec), spec.prepare.resources).limits.get("ephemeral-storage", SCRATCH_AT_MOST))


def job_resources(spec: Spec) -> Manifest:
    """The resources of the Job that fills a cache: Triton's, at most JOB_AT_MOST, unless the user sets others."""
    server = _of_server(spec)
    resources = Resources(requests=_capped(server.requests), limits=_capped(server.limits))
    resources = _overlay(resources, spec.prepare.resources)
    return _manifest(_overlay(resources, spec.cache.resources) if spec.cache else resources)


def explicit_job_resources(spec: Spec) -> Manifest | None:
    """`job_resources` if the user sets any value that they depend on; None if all values are defaults."""
    given = (spec.resources, spec.prepare.resources, spec.cache.resources if spec.cache else Resources())
    return job_resources(spec) if any(_names(resources) for resources in given) else None


def describe(resources: Manifest) -> str:
    """Requests and limits in one line: `cpu 250m, memory 512Mi to 1Gi`, with the limit after `to`."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    return ", ".join(_describe(name, requests.get(name), limits.get(name)) for name in sorted(requests | limits))


def _describe(name: str, request: str | None, limit: str | None) -> str:
    values = dict.fromkeys(value for value in (request, limit) if value is not None)
    return f"{name} {' to '.join(values)}"


def _of_server(spec: Spec) -> Resources:
    return Resources(requests={**default_requests(spec), **spec.resources.requests}, limits=spec.resources.limits)


def _overlay(base: Resources, override: Resources) -> Resources:
    """`base` with `override`, which replaces request and limit together, because a mix could be contradictory."""
    names = _names(override)
    return Resources(
        requests={name: value for name, value in base.requests.items() if name not in names} | override.requests,
        limits={name: value for name, value in base.limits.items() if name not in names} | override.limits,
    )


def _capped(quantities: dict[str, str | int]) -> dict[str, str | int]:
    return {name: smaller(str(value), JOB_AT_MOST.get(name, str(value))) for name, value in quantities.items()}


def _names(resources: Resources) -> set[str]:
    return resources.requests.keys() | resources.limits.keys()


def _manifest(resources: Resources) -> Manifest:
    """The `resources` field of a container; empty members are omitted, because server-side apply would own them."""
    both: dict[str, dict[str, Any]] = {"requests": resources.requests, "limits": resources.limits}
    return {
        kind: {name: str(value) for name, value in quantities.items()}
        for kind, quantities in both.items()
        if quantities
    }
