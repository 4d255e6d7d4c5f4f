"""The revisions of a deployment, oldest first.

Input: its ControllerRevisions, which the operator keeps for rollbacks, and its status. Output: the revisions, and a row
for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triton_operator.api.status import RevisionStatus
from triton_operator.cli.cluster.objects import is_owned, labels_of
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data, table
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Object, Selection
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import read_status

_HEADER = ["REVISION", "NAME", "CREATED", "IMAGE", "CURRENT", "READY"]


def print_history(client: KubernetesClient, name: str, namespace: str, form: OutputFormat) -> None:
    """Print the revisions of a deployment; raises SdkError."""
    deployment, revisions = read_history(client, name, namespace)
    rows = history_rows(revisions, read_status(deployment).revisions)
    if form is OutputFormat.TABLE:
        console().print(table(_HEADER, [list(map(_cell, row.values())) for row in rows]))
    else:
        print_data(rows, form)


def read_history(client: KubernetesClient, name: str, namespace: str) -> tuple[Object, list[Object]]:
    """The ModelDeployment and its ControllerRevisions, oldest first; raises SdkError."""
    with spinner(f"reading the revisions of {name}"):
        deployment = client.get(MODEL_DEPLOYMENTS, name, namespace)
        selection = Selection(CHILDREN[Kind.REVISION], namespace, labels=labels_of(name))
        revisions = client.list(selection).items
    uid = str(deployment["metadata"].get("uid", ""))
    return deployment, sorted((each for each in revisions if is_owned(each, uid)), key=number_of)


def number_of(revision: Object) -> int:
    """The number of a ControllerRevision."""
    return int(revision.get("revision") or 0)


def history_rows(revisions: Sequence[Object], states: Sequence[RevisionStatus]) -> list[dict[str, Any]]:
    """A row for each ControllerRevision; `states` are those in the status: the current one and those with pods."""
    by_name = {state.name: state for state in states}
    return [_row(each, by_name) for each in revisions]


def _row(revision: Object, states: Mapping[str, RevisionStatus]) -> dict[str, Any]:
    data = revision.get("data") or {}
    name = str(revision["metadata"]["name"])
    state = states.get(name, RevisionStatus(name=name))
    return {
        "revision": number_of(revision),
        "name": name,
        "created": str(revision["metadata"].get("creationTimestamp", "")),
        "image": str(data.get("serverImage", "")),
        "current": state.current,
        "ready": state.ready,
    }


def _cell(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
