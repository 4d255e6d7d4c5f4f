"""`tritonctl rollout`: follow a rollout, list the revisions, return to one, pause and resume, and restart the pods.

Input: an action and a deployment. Output: a line for each new reason until the deployment is Ready, a table, or what
was changed. Pauses, restarts and the step after which a canary continues are fields of `spec.rollout`, so that they are
visible in the object.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from triton_operator.api.status import CanaryPhase
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import FIELD_MANAGER, Context, Kubeconfig, Name, Namespace, Output, kube_context
from triton_operator.cli.rollout.undo_options import PrivacyChoice, UndoOptions
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner

EPILOG = """\b
Examples:
  tritonctl rollout status digits -n models --timeout 300
  tritonctl rollout history digits
  tritonctl rollout undo digits --to-revision 3 --dry-run
  tritonctl rollout pause digits
  tritonctl rollout resume digits
  tritonctl rollout restart digits
\b
`resume` also continues a canary that waits. `undo` prints what it changes. It restores only fields that affect the
pods, and keeps others, such as replicas and callers.
"""


class RolloutAction(StrEnum):
    """What to do."""

    STATUS = "status"
    HISTORY = "history"
    UNDO = "undo"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"


def rollout(
    action: Annotated[
        RolloutAction, typer.Argument(metavar="status|history|undo|pause|resume|restart", help="What to do.")
    ],
    name: Name,
    namespace: Namespace = "",
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=1, help="Time limit for status.")] = 600,
    to_revision: Annotated[
        int | None,
        typer.Option(
            "--to-revision", metavar="N", min=1, help="For undo: revision to restore; by default, the one before."
        ),
    ] = None,
    privacy: Annotated[
        PrivacyChoice | None,
        typer.Option(
            "--privacy", help="For undo: keep or restore fields that protect data, if the revision differs in them."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="For undo: only print what would change.")] = False,
    output: Output = OutputFormat.TABLE,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Follow, list, undo, pause, resume and restart the rollouts of a ModelDeployment.

    The exit status of `status` is 1 if the ModelDeployment does not become Ready.
    """
    from triton_operator.sdk.deployments import Deployments
    from triton_operator.sdk.kubernetes_client import KubernetesClient

    if output is not OutputFormat.TABLE and action is not RolloutAction.HISTORY:
        raise UsageError(
            f"--output: can be used only with history; for the status, use `tritonctl status {name} -o {output}`"
        )
    options = UndoOptions(to_revision, privacy, dry_run)
    if options != UndoOptions() and action is not RolloutAction.UNDO:
        raise UsageError(
            f"--to-revision, --privacy, --dry-run: these options can be used only with undo, not with {action}"
        )
    client = KubernetesClient(kube_context(kubeconfig, context))
    if action is RolloutAction.STATUS:
        _follow(Deployments(client), name, namespace, timeout)
    elif action is RolloutAction.HISTORY:
        from triton_operator.cli.rollout.history import print_history

        print_history(client, name, namespace, output)
    elif action is RolloutAction.UNDO:
        from triton_operator.cli.rollout.undo import undo

        undo(client, name, namespace, options, FIELD_MANAGER)
    else:
        _change(Deployments(client, manager=FIELD_MANAGER), action, name, namespace)


def _follow(deployments: Any, name: str, namespace: str, seconds: float) -> None:
    """Print each new reason; raises CommandFailedError if the deployment does not become Ready."""
    from triton_operator.sdk.errors import NotReadyError
    from triton_operator.sdk.waiting import wait_until_ready

    changes = deployments.follow(name, namespace, seconds=seconds)
    try:
        found = wait_until_ready(changes, seconds, lambda status: say(f"{status.reason}: {status.message}", err=True))
    except NotReadyError as failure:
        raise CommandFailedError(str(failure)) from failure
    say(f"{found.namespace}/{found.name} Ready")


def _change(deployments: Any, action: RolloutAction, name: str, namespace: str) -> None:
    fields, done = _fields(action, datetime.now(UTC))
    with spinner(f"changing {name}"):
        if action is RolloutAction.RESUME and (step := _waiting_step(deployments.read(name, namespace))):
            fields, done = fields | {"canary": {"resumed": step}}, f"resumed: the canary continues after {step}"
        changed = deployments.change(name, {"spec": {"rollout": fields}}, namespace)
    say(f"{changed['metadata']['namespace']}/{name} {done}")


def _waiting_step(deployment: dict[str, Any]) -> str:
    """The step of the canary that waits for a person, as `spec.rollout.canary.resumed` names it; "" without one.

    A step that only `spec.rollout.paused` stops continues where it was.
    """
    from triton_operator.sdk.status import read_status

    if deployment["spec"].get("rollout", {}).get("paused"):
        return ""
    rollout = read_status(deployment).rollout
    canary = rollout.canary if rollout else None
    return f"{canary.revision}/{canary.step}" if canary and canary.phase is CanaryPhase.PAUSED else ""


def _fields(action: RolloutAction, now: datetime) -> tuple[dict[str, Any], str]:
    """The fields of `spec.rollout` that the action sets, and what it has done."""
    if action is RolloutAction.RESTART:
        return {"restartedAt": now.isoformat(timespec="seconds").replace("+00:00", "Z")}, "restarted"
    return {"paused": action is RolloutAction.PAUSE}, "paused" if action is RolloutAction.PAUSE else "resumed"
