"""Read objects from the cluster for the commands.

Input: a client, and what to select. Output: the JSON of objects, and the first error. Requests are sent
concurrently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from triton_operator.api.names import LABEL_DEPLOYMENT
from triton_operator.cli.concurrency import call_all
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS, PODS
from triton_operator.sdk.cluster_objects import Object, Selection
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.kubernetes_client import KubernetesClient

T = TypeVar("T")

_AT_A_TIME = 4


@dataclass
class Found:
    """Objects, and the first error of the requests that failed."""

    items: list[Object] = field(default_factory=list)
    error: SdkError | None = None


def labels_of(deployment: str) -> str:
    """The label selector for the objects of a ModelDeployment."""
    return f"{LABEL_DEPLOYMENT}={deployment}"


def read_lists(client: KubernetesClient, selections: Sequence[Selection], *, what: str) -> Found:
    """List each selection; the objects of one are returned even if another cannot be read."""
    return _read_all(lambda each: client.list(each).items, selections, what)


def read_deployments(client: KubernetesClient, names: Sequence[str], namespace: str) -> Found:
    """Read the named ModelDeployments; those that exist are returned even if others do not."""
    return _read_all(lambda name: [client.get(MODEL_DEPLOYMENTS, name, namespace)], names, "ModelDeployments")


def pods_of(client: KubernetesClient, deployment: str, namespace: str) -> list[Object]:
    """Return a deployment's pods by name. Raises DeploymentNotFoundError if the deployment itself does not exist."""
    selection = Selection(PODS, namespace, labels=labels_of(deployment))
    with spinner(f"reading the pods of {deployment}"):
        found = client.list(selection).items
        if not found:
            client.get(MODEL_DEPLOYMENTS, deployment, namespace)
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def names(items: Sequence[Object]) -> list[str]:
    """The names of objects."""
    return [str(item["metadata"]["name"]) for item in items]


def is_owned(item: Object, uid: str) -> bool:
    """Whether the deployment with this uid is an owner of the object."""
    return bool(uid) and any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences") or [])


def _read_all(read: Callable[[T], list[Object]], arguments: Sequence[T], what: str) -> Found:
    """Send the requests concurrently; if the cluster does not respond, the remaining ones are not sent."""
    unreachable: list[SdkError] = []

    def attempt(argument: T) -> list[Object] | SdkError:
        try:
            return unreachable[0] if unreachable else read(argument)
        except UnreachableError as error:
            unreachable.append(error)
            return error
        except SdkError as error:
            return error

    with spinner(f"reading {what}"):
        results = call_all([partial(attempt, argument) for argument in arguments], at_a_time=_AT_A_TIME)
    errors = [each for each in results if isinstance(each, SdkError)]
    items = [item for each in results if not isinstance(each, SdkError) for item in each]
    return Found(items, errors[0] if errors else None)
