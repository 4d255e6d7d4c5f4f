"""The demo's privacy: test whether the network enforces policies, and show the controls of the deployment.

Input: a cluster with a ready deployment. Output: the result of the test, which is that of `tritonctl doctor --probe`,
in the cluster, and the required controls as text. The test takes a few seconds. It is skipped if there is a result.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from hack.progress import say
from triton_operator.api.conditions import PRIVACY_ENFORCED
from triton_operator.api.status import ControlName, ControlState, Status
from triton_operator.cli.doctor.check_result import CheckStatus
from triton_operator.cli.doctor.evidence import gather
from triton_operator.cli.doctor.probe.command import probe_network
from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import read_status

_REPORT_SECONDS = 10
"""For the operator to report a recorded result."""


def check_network(client: KubernetesClient, namespace: str, name: str) -> None:
    """Test whether policies take effect, unless the deployment's status has the result of an earlier test.

    A cluster that does not enforce policies, or does not permit the test, does not fail the demo: the controls show it.
    """
    deployments = Deployments(client)
    if _is_network_judged(deployments.read(name, namespace)):
        return
    say("… test whether the network enforces NetworkPolicies")
    result = probe_network(client, gather(client, ""), namespace="", image="")
    mark = "✓" if result.status is CheckStatus.OK else "✗"
    say("\n  ".join(filter(None, (f"{mark} {result.check}: {result.message}", result.advice))))
    with closing(deployments.follow(name, namespace, seconds=_REPORT_SECONDS)) as changes:
        any(_is_network_judged(deployment) for deployment in changes)


def show_privacy(status: Status) -> str:
    """The condition PrivacyEnforced, and a line for each control that the profile requires."""
    (condition,) = [each for each in status.conditions if each.type == PRIVACY_ENFORCED]
    controls = [each for each in (status.privacy.controls if status.privacy else ()) if each.required]
    lines = [f"  {each.state:<12}{each.name:<20}{each.message}" for each in controls]
    return "\n".join([f"{PRIVACY_ENFORCED} is {condition.status}: {condition.message}", *lines])


def _is_network_judged(deployment: dict[str, Any]) -> bool:
    privacy = read_status(deployment).privacy
    states = {each.name: each.state for each in (privacy.controls if privacy else ())}
    return states.get(ControlName.NETWORK_ENFORCEMENT, ControlState.UNKNOWN) is not ControlState.UNKNOWN
