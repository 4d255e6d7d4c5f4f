"""Return the spec of a deployment to that of an earlier revision.

Input: the object and its ControllerRevisions. Output: the differences, and the changed object. Only fields that form
the pods change. Fields that protect data change only if `--privacy` permits it, so that no restriction disappears
unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff
from typing import Any

import msgspec

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import Spec, parse
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.rollout.history import number_of, read_history
from triton_operator.cli.rollout.undo_options import PrivacyChoice, UndoOptions
from triton_operator.cli.terminal.output import say, to_yaml
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.resources.revision_spec import MOST_BYTES, with_pods_of, with_protection_of
from triton_operator.sdk.cluster_objects import Object
from triton_operator.sdk.errors import ObjectChangedError
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import read_status

_ATTEMPTS = 10
"""How often the change is sent while only the status changes."""


def undo(client: KubernetesClient, name: str, namespace: str, options: UndoOptions, manager: str) -> None:
    """Print what changes and change it; raises UsageError, CommandFailedError and SdkError."""
    deployment, revisions = read_history(client, name, namespace)
    spec = _parse(deployment)
    current = next((each.name for each in read_status(deployment).revisions if each.current), "")
    number, restored = choose(spec, revisions, current, options)
    restored = _protect(spec, restored, options.privacy, number)
    changes = merge_patch(msgspec.to_builtins(spec), msgspec.to_builtins(restored))
    where = f"{deployment['metadata']['namespace']}/{name}"
    if not changes:
        say(f"{where} already has the spec of revision {number}")
        return
    for line in describe(spec, restored):
        say(line)
    _write(client, deployment, changes, manager, dry_run=options.dry_run)
    say(f"{where} {'would return' if options.dry_run else 'returned'} to revision {number}")


def choose(spec: Spec, revisions: Sequence[Object], current: str, options: UndoOptions) -> tuple[int, Spec]:
    """The revision that the options name, or the newest one that changes the spec, and the spec with its pods.

    `revisions` are sorted by their numbers; `current` is the name of the current one. Raises CommandFailedError.
    """
    number = options.revision
    if number is not None:
        found = next((each for each in revisions if number_of(each) == number), None)
        if found is None:
            there = ", ".join(str(number_of(each)) for each in revisions) or "none"
            raise CommandFailedError(f"--to-revision: there is no revision {number}; existing revisions: {there}")
        return number, _restored(spec, found)
    for each in reversed(revisions):
        if each["metadata"]["name"] == current and _stored(each) is None:
            continue
        restored = _restored(spec, each)
        changed = _keep_protection(spec, restored) if options.privacy is PrivacyChoice.KEEP else restored
        if changed != spec:
            return number_of(each), restored
    raise CommandFailedError("there is no earlier revision; see spec.rollout.revisionHistoryLimit")


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns one object into the other."""
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        known = before.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            if inner := merge_patch(known, value):
                patch[key] = inner
        elif key not in before or known != value:
            patch[key] = value
    return patch


def describe(before: Spec, after: Spec) -> list[str]:
    """The differences between two specs, as lines of a unified diff of their YAML."""
    old, new = (to_yaml([{"spec": msgspec.to_builtins(spec)}]).splitlines() for spec in (before, after))
    return list(unified_diff(old, new, "current", "restored", lineterm=""))


def _write(client: KubernetesClient, read: Object, changes: Object, manager: str, *, dry_run: bool) -> None:
    """Change the spec that was read and printed, and no other one; raises CommandFailedError and SdkError.

    Each write of the status changes the version of the object too, so a conflict about an unchanged spec is retried.
    """
    name, namespace = read["metadata"]["name"], read["metadata"]["namespace"]
    current = read
    for _ in range(_ATTEMPTS):
        version = {"resourceVersion": current["metadata"]["resourceVersion"]}
        body = {"metadata": version, "spec": changes}
        try:
            client.change(MODEL_DEPLOYMENTS, name, body, namespace, manager=manager, dry_run=dry_run)
        except ObjectChangedError:
            current = client.get(MODEL_DEPLOYMENTS, name, namespace)
        else:
            return
        if any(current["metadata"].get(key) != read["metadata"].get(key) for key in ("uid", "generation")):
            break
    raise CommandFailedError(f"{namespace}/{name} was changed by another program; nothing was written; try again")


def _parse(deployment: Object) -> Spec:
    try:
        return parse(deployment).spec
    except InvalidSpecError as error:
        raise CommandFailedError(f"this version of tritonctl cannot read the spec: {error}") from error


def _stored(revision: Object) -> Any:
    return (revision.get("data") or {}).get("spec")


def _restored(spec: Spec, revision: Object) -> Spec:
    number, stored = number_of(revision), _stored(revision)
    if stored is None:
        raise CommandFailedError(
            f"revision {number} has no spec, because an earlier version of the operator created it, or because the "
            f"spec is larger than {MOST_BYTES // 1024} KiB; apply the earlier ModelDeployment instead"
        )
    try:
        return with_pods_of(spec, msgspec.convert(stored, Spec))
    except msgspec.ValidationError as error:
        raise CommandFailedError(f"this version of tritonctl cannot read the spec of revision {number}: {error}") from (
            error
        )


def _protect(spec: Spec, restored: Spec, choice: PrivacyChoice | None, number: int) -> Spec:
    """The spec to restore; raises UsageError if fields that protect data differ and there is no choice."""
    kept = _keep_protection(spec, restored)
    if choice is PrivacyChoice.KEEP or kept == restored:
        return kept
    if choice is None:
        for line in describe(kept, restored):
            say(line, err=True)
        raise UsageError(
            f"--privacy: the fields above protect data and differ in revision {number}; add --privacy keep to keep the "
            "values of the current spec, or --privacy restore to restore those of the revision"
        )
    return restored


def _keep_protection(spec: Spec, restored: Spec) -> Spec:
    return with_pods_of(spec, with_protection_of(restored, spec))
