"""Follow objects of a cluster: their state now, and each change.

Input: a selection. Output: changes, indefinitely or for a limited time. This is the only list-and-watch loop outside
the operator: the clients, `tritonctl status`, `tritonctl logs` and the demo use it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator

from triton_operator.sdk.cluster_objects import Event, Object, ObjectList, Selection
from triton_operator.sdk.cluster_responses import metadata_of
from triton_operator.sdk.errors import DeadlineExceededError, DeploymentNotFoundError, RejectedError, SdkError
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.stoppable_connections import ended_by

ADDED, DELETED = "ADDED", "DELETED"
_ERROR, _BOOKMARK = "ERROR", "BOOKMARK"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0
_USUAL_WATCH_SECONDS = 5.0
"""A watch that ends earlier has failed, because an API server closes a watch after minutes."""

Key = tuple[str, str]


def follow(
    client: KubernetesClient,
    selection: Selection,
    *,
    seconds: float = math.inf,
    stop: Stop | None = None,
    on_error: Callable[[SdkError], None] | None = None,
) -> Generator[Event]:
    """Yield the selected objects and their changes for `seconds`, or until `stop`.

    If a watch is forbidden or ends early, the objects are listed again at growing intervals. The first list raises
    SdkError; a later one does so only without `on_error`.
    """
    stop, end, pause = stop or Stop(), time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    known: dict[Key, Object] | None = None
    while (left := end - time.monotonic()) > 0 and not stop.stopped:
        started = time.monotonic()
        try:
            with ended_by(stop):
                found = _list(client, selection, may_be_gone=known is not None)
        except SdkError as error:
            if _has_ended(stop):
                return
            if known is None or on_error is None:
                raise
            on_error(error)
        else:
            known = known or {}
            yield from _differences(known, found.items)
            yield from _watch(client, selection, found.version, known, left, stop)
        if time.monotonic() - started > _USUAL_WATCH_SECONDS:
            pause = _FIRST_PAUSE_SECONDS
            continue
        stop.wait(max(0.0, min(pause, end - time.monotonic())))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def delete_and_wait(client: KubernetesClient, selection: Selection, seconds: float) -> None:
    """Delete the named object and wait until it is gone; it may be missing. Raises DeadlineExceededError."""
    try:
        found = client.get(selection.resource, selection.name, selection.namespace)
        client.delete(selection.resource, selection.name, selection.namespace, uid=found["metadata"]["uid"])
        for event in follow(client, selection, seconds=seconds):
            if event.kind == DELETED:
                return
    except DeploymentNotFoundError:
        return
    raise DeadlineExceededError(f"{selection.resource.kind} {selection.name} still exists after {seconds:g} s")


def _list(client: KubernetesClient, selection: Selection, *, may_be_gone: bool) -> ObjectList:
    """The selected objects; raises DeploymentNotFoundError for a name that never existed."""
    try:
        found = client.list(selection)
    except RejectedError:
        if not selection.name:
            raise
        found = ObjectList([], "")  # A user may be allowed to get one object and not to list.
    if found.items or not selection.name:
        return found
    try:
        item = client.get(selection.resource, selection.name, selection.namespace)
    except DeploymentNotFoundError:
        if not may_be_gone:
            raise
        return found
    return ObjectList([item], found.version)


def _has_ended(stop: Stop) -> bool:
    """For type checkers, which take the loop's condition to hold until its end."""
    return stop.stopped


def _differences(known: dict[Key, Object], items: list[Object]) -> Generator[Event]:
    """Yield the changes since the last watch; updates `known`."""
    present = {_key(item): item for item in items}
    for key in known.keys() - present.keys():
        yield Event(DELETED, known.pop(key))
    for key, item in present.items():
        if known.get(key) != item:
            known[key] = item
            yield Event(ADDED, item)


def _watch(
    client: KubernetesClient, selection: Selection, version: str, known: dict[Key, Object], seconds: float, stop: Stop
) -> Generator[Event]:
    """One watch. Errors only end it, because the next list shows whether the cluster still responds."""
    events = client.watch(selection, version, seconds=seconds, stop=stop)
    try:
        for event in events:
            if event.kind == _ERROR:  # For example 410: the version is too old to continue from.
                return
            if event.kind == _BOOKMARK or not _is_selected(event.object, selection):
                continue
            known[_key(event.object)] = event.object
            if event.kind == DELETED:
                del known[_key(event.object)]
            yield event
    except SdkError:
        return
    finally:
        events.close()


def _is_selected(item: Object, selection: Selection) -> bool:
    name = metadata_of(item).get("name")
    return isinstance(name, str) and (not selection.name or name == selection.name)


def _key(item: Object) -> Key:
    metadata = metadata_of(item)
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
