"""Report which edits of a deployment's network policy and proxy configuration the operator has undone.

Input: a plan, before and after it is carried out. Output: one Event for each restored object, with the field manager
and the changed fields. The object is read before it is restored, because the API server then no longer knows who has
changed it. Changes by the operator itself are not reported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from triton_operator.api.names import proxy_config_name
from triton_operator.cluster.edits import Edit, find_edit
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.observed import ChildId, Kind
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.edit_events import READ_LIMIT, EditEvents, describe
from triton_operator.reconcile.failed_writes import FailedWrite
from triton_operator.reconcile.memory import Applied
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.plan import CHANGED, FOREIGN_FIELDS, FROZEN, Action, Plan, Verb, digest

log = logging.getLogger(__name__)


class RestoredObject(NamedTuple):
    """A planned write that undoes an edit; `edit` is None if the object was deleted."""

    kind: Kind
    name: str
    edit: Edit | None


class RestoredEdits:
    """Reads edited objects and posts Events through `cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._events = EditEvents(cluster)

    async def find(
        self, plan: Plan, applied: Mapping[ChildId, Applied], observed: ObservedState
    ) -> list[RestoredObject]:
        """What the plan will restore."""
        reported = [action for action in plan.writes if _is_reported(action, observed.deployment.metadata.name)]
        found = [
            RestoredObject(action.kind, action.name, None)
            for action in reported
            if action.verb is Verb.CREATE and (action.kind, action.name) in applied
        ]
        for action in reported:
            if action.why in {CHANGED, FOREIGN_FIELDS, FROZEN}:
                known = applied.get((action.kind, action.name))
                is_known = known is not None and known.digest == digest(action.manifest)
                edit = await self._read(action, was_applied=is_known)
                if edit.fields or action.why != CHANGED:
                    found.append(RestoredObject(action.kind, action.name, edit))
        return found

    async def report(
        self, restored: Sequence[RestoredObject], failures: Sequence[FailedWrite], observed: ObservedState
    ) -> None:
        """Post an Event for each object whose write succeeded."""
        metadata = observed.deployment.metadata
        failed = {(failure.kind, failure.name) for failure in failures}
        for kind, name, edit in restored:
            if (kind, name) not in failed:
                message = f"{describe(f'{kind} {name}', edit)}, which is restored"
                await self._events.post(REASONS[kind], message, metadata, observed.now)

    async def _read(self, action: Action, *, was_applied: bool) -> Edit:
        """The edit; empty if the object cannot be read, because its details are not worth a failed pass."""
        namespace = action.manifest["metadata"]["namespace"]
        try:
            async with asyncio.timeout(READ_LIMIT):
                body = await self._cluster.read(action.kind, namespace, action.name)
            return find_edit(body, action.manifest, was_applied=was_applied) if body else Edit()
        except (ClusterError, TimeoutError, orjson.JSONDecodeError) as error:
            log.warning("cannot read how %s %s was changed: %s", action.kind, action.name, str(error) or "timed out")
            return Edit()


REASONS = {Kind.NETWORK_POLICY: "NetworkPolicyRestored", Kind.CONFIG_MAP: "ProxyConfigRestored"}
"""Reasons of the Events by the kind of the child."""


def _is_reported(action: Action, deployment: str) -> bool:
    """Whether the child protects the deployment; the other ConfigMaps contain model configurations."""
    return action.kind in REASONS and (
        action.kind is not Kind.CONFIG_MAP or action.name == proxy_config_name(deployment)
    )
