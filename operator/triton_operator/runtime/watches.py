"""The reflectors of one process: for each kind of child, for pods, for all NetworkPolicies and for the network probe.

Each has one connection. Those of children and pods watch only objects with the operator's labels. `process` runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from triton_operator.api.names import (
    COMPONENT_CACHE,
    COMPONENT_SERVER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    MANAGER,
    NETWORK_PROBE,
)
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import OPTIONAL_KINDS, Child, Key, Kind, Pod
from triton_operator.cluster.optional_reflector import OptionalReflector
from triton_operator.cluster.pod_projection import project_pod
from triton_operator.cluster.policy_projection import ObservedPolicy, project_policy
from triton_operator.cluster.probe_projection import ProbeRecord, project_probe
from triton_operator.cluster.projection import project_child
from triton_operator.cluster.projector import Projector
from triton_operator.cluster.reflector import Reflector
from triton_operator.cluster.resource_paths import CHILDREN, PODS
from triton_operator.runtime.event_handlers import ChildHandler, PodHandler
from triton_operator.runtime.kind_handler import KindHandler
from triton_operator.runtime.network_handlers import PolicyHandler, ProbeHandler
from triton_operator.runtime.work_queue import WorkQueue

SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"
POD_SELECTOR = f"{SELECTOR},{LABEL_COMPONENT} in ({COMPONENT_SERVER},{COMPONENT_CACHE})"

AnyReflector = Reflector[Child] | Reflector[Pod] | Reflector[ObservedPolicy] | Reflector[ProbeRecord]


def build_reflectors(
    client: ApiClient,
    namespace: str | None,
    home_namespace: str,
    cache: ObjectCache,
    queue: WorkQueue[Key],
    projector: Projector,
    unreadable: Callable[[str], None],
) -> list[AnyReflector]:
    """All reflectors, not running yet; `unreadable` counts objects that are skipped.

    Those of optional kinds are OptionalReflectors.

    `namespace` is the one to reconcile (None: all), `home_namespace` that of the network probe.
    """
    children: list[AnyReflector] = [
        (_optional(kind, cache, queue) if kind in OPTIONAL_KINDS else Reflector)(
            client,
            CHILDREN[kind],
            namespace,
            selector=SELECTOR,
            project=partial(projector.project, kind, with_owned=True),
            project_listed=partial(project_child, kind, with_owned=True),  # a list has each object once
            sink=ChildHandler(kind, namespace, cache.children, queue),
            unreadable=unreadable,
        )
        for kind in Kind
    ]
    pods = Reflector(
        client,
        PODS,
        namespace,
        selector=POD_SELECTOR,
        project=project_pod,
        sink=PodHandler(namespace, cache.pods, queue),
        unreadable=unreadable,
    )
    policies = Reflector(
        client,
        CHILDREN[Kind.NETWORK_POLICY],
        namespace,
        project=project_policy,  # without a selector, because anybody may give a policy any labels
        sink=PolicyHandler(namespace, cache, queue),
        unreadable=unreadable,
    )
    probe = Reflector(
        client,
        CHILDREN[Kind.CONFIG_MAP],
        home_namespace,
        name=NETWORK_PROBE,
        project=project_probe,
        sink=ProbeHandler(cache, queue),
        unreadable=unreadable,
    )
    return [*children, pods, policies, probe]


def _optional(kind: Kind, cache: ObjectCache, queue: WorkQueue[Key]) -> partial[OptionalReflector[Child]]:
    return partial(OptionalReflector, unavailable=KindHandler(kind, cache, queue))
