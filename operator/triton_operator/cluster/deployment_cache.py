"""ModelDeployments as last seen: from lists, watches, and the responses to the operator's status writes.

An older version never replaces a newer one, because a response may overtake the watch (resourceVersions are comparable
integers since Kubernetes 1.35, KEP-5504). Not thread-safe; used from one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import Metadata, ModelDeployment, parse
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Key


class DeploymentRecord(NamedTuple):
    """A ModelDeployment as last seen; `deployment` is the error if its spec cannot be read."""

    metadata: Metadata
    resource_version: int
    deployment: ModelDeployment | InvalidSpecError
    status: Status | None


class DeploymentCache:
    """Records by key."""

    def __init__(self) -> None:
        self._records: dict[Key, DeploymentRecord] = {}
        self._upgrading: dict[Key, DeploymentRecord] = {}

    def keys(self) -> set[Key]:
        """Every deployment that exists."""
        return set(self._records)

    def get(self, key: Key) -> DeploymentRecord | None:
        """The record of a deployment, None if it does not exist."""
        return self._records.get(key)

    def upgrading(self) -> Mapping[Key, DeploymentRecord]:
        """Those whose status has an `upgrade`: usually none, while every new or deleted deployment asks for them."""
        return self._upgrading

    def has(self, key: Key, uid: str, version: int) -> bool:
        """Whether this version of a deployment, or a newer one, is in the cache."""
        record = self._records.get(key)
        return record is not None and record.metadata.uid == uid and version <= record.resource_version

    def has_other_spec(self, key: Key, uid: str, version: int, spec_digest: str) -> bool:
        """Whether the cached spec of this version differs: a new definition shows another one for the same version."""
        record = self._records.get(key)
        if record is None or (record.metadata.uid, record.resource_version) != (uid, version):
            return False
        return record.metadata.spec_digest != spec_digest

    def put(self, body: dict[str, Any]) -> bool:
        """Add or update a deployment; returns whether it must be reconciled."""
        key, uid, version = _identity(body)
        old = self._records.get(key)
        if self.has(key, uid, version) and not self.has_other_spec(key, uid, version, _spec_digest(body)):
            return False  # An event that arrives late, or that of the operator's own status write.
        new = _read(body, old)
        self._store(key, new)
        return old is None or _signature(old) != _signature(new)

    def put_response(self, body: dict[str, Any]) -> None:
        """Update a deployment from the response to a status write, whose event then does not start another pass.

        The response contains the whole object. It may be the first to show a user's edit: the event of that edit has an
        older version than the response, and is then ignored. A response about a deleted object is ignored.
        """
        key, uid, version = _identity(body)
        record = self._records.get(key)
        if record is None or record.metadata.uid != uid:
            return
        if record.resource_version < version or self.has_other_spec(key, uid, version, _spec_digest(body)):
            self._store(key, _read(body, record))

    def remove(self, namespace: str, name: str) -> None:
        """Remove a deleted deployment; its children are removed when their own events arrive."""
        self._records.pop((namespace, name), None)
        self._upgrading.pop((namespace, name), None)

    def _store(self, key: Key, record: DeploymentRecord) -> None:
        self._records[key] = record
        if record.status and record.status.upgrade:
            self._upgrading[key] = record
        else:
            self._upgrading.pop(key, None)


def _identity(body: dict[str, Any]) -> tuple[Key, str, int]:
    metadata = body["metadata"]
    return (metadata["namespace"], metadata["name"]), metadata["uid"], int(metadata["resourceVersion"])


def _spec_digest(body: dict[str, Any]) -> str:
    digest: str = body["metadata"].get("specDigest", "")
    return digest


def _read(body: dict[str, Any], old: DeploymentRecord | None) -> DeploymentRecord:
    metadata = msgspec.convert(body["metadata"], Metadata)
    deployment: ModelDeployment | InvalidSpecError
    if old and old.metadata == metadata:  # The API server increments the generation with every change of the spec.
        deployment = old.deployment
    elif unreadable := body.get("unreadable"):  # Set by `deployment_projection` instead of a spec.
        deployment = InvalidSpecError("InvalidSpec", "spec", unreadable)
    else:
        try:
            deployment = parse(body)
        except InvalidSpecError as error:
            deployment = error
    return DeploymentRecord(metadata, _identity(body)[2], deployment, _read_status(body.get("status")))


def _read_status(status: dict[str, Any] | None) -> Status | None:
    """The status; None if somebody has made it invalid, because the next pass then writes a complete one."""
    if not status:
        return None
    try:
        return msgspec.convert(status, Status)
    except msgspec.ValidationError:
        return None


def _signature(record: DeploymentRecord) -> tuple[object, ...]:
    """The parts whose change starts a pass. The status is one of them, so that a pass reverts changes by others."""
    return record.metadata, record.status
