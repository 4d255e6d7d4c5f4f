"""What to report about objects that were not adopted: each of them, what differs, and the commands that help. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.api.names import ANNOTATION_FILLED
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.messages import join

_MOST_PATHS = 3
"""Differences that the message lists for one object."""


def describe_paths(paths: Sequence[str]) -> str:
    """The first differences, and how many more there are."""
    more = len(paths) - _MOST_PATHS
    return ", ".join(paths[:_MOST_PATHS]) + (f" and {more} more" if more > 0 else "")


def describe_refused(refused: Sequence[tuple[Kind | SharedKind, str, str]], namespace: str) -> str:
    """One sentence about all of them: kinds, names and differences. The commands are never cut."""
    objects = ", ".join(f"{kind} {name} ({paths})" for kind, name, paths in refused)
    cause = f"objects without an owner differ from what the operator creates, so none is adopted: {objects}"
    kubectl = f"kubectl {{}} -n {namespace} {{}}"
    others = []
    consequences = []
    for kind, name, paths in refused:
        target = f"{kind.value.lower()}/{name}"
        if kind is Kind.DEPLOYMENT:
            orphan = kubectl.format("delete --cascade=orphan", target)
            consequences.append(f"to replace the pods of the Deployment one after the other, run: {orphan}")
        elif paths == f"metadata.annotations[{ANNOTATION_FILLED}]":
            annotate = kubectl.format("annotate", f"{target} {ANNOTATION_FILLED}-")
            consequences.append(f"to fill the cache again, run: {annotate}")
        else:
            others.append(target)
    if others:
        command = kubectl.format("delete", " ".join(others))
        consequences.append(f"if nobody else uses {'it' if len(others) == 1 else 'them'}, run: {command}")
    return join(cause, *consequences)
