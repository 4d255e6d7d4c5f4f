"""The reflectors of one process: one for each kind of child, one for pods, and one for all NetworkPolicies.

Each has one connection and watches only objects with our labels, except that of all NetworkPolicies; `process` runs
them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from triton_operator.api.names import COMPONENT_CACHE, COMPONENT_SERVER, LABEL_COMPONENT, LABEL_MANAGED_BY, MANAGER
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Child, Key, Kind, Pod
from triton_operator.cluster.pod_projection import project_pod
from triton_operator.cluster.policy_projection import ObservedPolicy, project_policy
from triton_operator.cluster.projection import project_child
from triton_operator.cluster.projector import Projector
from triton_operator.cluster.reflector import Reflector
from triton_operator.cluster.resource_paths import CHILDREN, PODS
from triton_operator.runtime.event_handlers import ChildHandler, PodHandler, PolicyHandler
from triton_operator.runtime.work_queue import WorkQueue

SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"
POD_SELECTOR = f"{SELECTOR},{LABEL_COMPONENT} in ({COMPONENT_SERVER},{COMPONENT_CACHE})"

AnyReflector = Reflector[Child] | Reflector[Pod] | Reflector[ObservedPolicy]


def build_reflectors(
    client: ApiClient,
    namespace: str | None,
    cache: ObjectCache,
    queue: WorkQueue[Key],
    projector: Projector,
    unreadable: Callable[[str], None],
) -> list[AnyReflector]:
    """All reflectors, not running yet; `unreadable` counts objects that are skipped."""
    children: list[AnyReflector] = [
        Reflector(
            client,
            CHILDREN[kind],
            namespace,
            selector=SELECTOR,
            project=partial(projector.project, kind, with_owned=True),
            project_listed=partial(project_child, kind, with_owned=True),  # each comes once
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
        selector="",  # Anybody may give a policy any labels.
        project=project_policy,
        sink=PolicyHandler(namespace, cache, queue),
        unreadable=unreadable,
    )
    return [*children, pods, policies]
