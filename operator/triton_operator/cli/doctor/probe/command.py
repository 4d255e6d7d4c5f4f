"""`tritonctl doctor --probe`: choose namespace and image, run the probe, and record its result for the operator.

Input: the evidence of `doctor`. Output: the result of the check "network policies".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from triton_operator.api.names import NETWORK_PROBE
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.cli.doctor.check_result import CheckResult, failed, items, passed, warned
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.probe.objects import ProbeObjects, record
from triton_operator.cli.doctor.probe.run import ProbeFailedError, ProbeOutcome, ProbeRun
from triton_operator.cli.options import FIELD_MANAGER
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.kubernetes_client import KubernetesClient

CHECK = "network policies"
_INSTALL_PLUGIN = (
    "install a network plugin that enforces NetworkPolicies; until then, spec.privacy has no effect on the network"
)


class Operator(NamedTuple):
    """An installed operator: its namespace, image and pull secrets."""

    namespace: str
    image: str
    pull_secrets: tuple[dict[str, Any], ...]


def operators(evidence: Evidence) -> list[Operator]:
    """The operators that the user may see."""
    response = evidence["operator"]
    if isinstance(response, SdkError):
        return []
    found = []
    for deployment in items(response):
        pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
        image = next((str(each.get("image", "")) for each in pod.get("containers") or []), "")
        secrets_ = tuple(pod.get("imagePullSecrets") or ())
        found.append(Operator(str(deployment["metadata"].get("namespace", "")), image, secrets_))
    return found


def probe_network(client: KubernetesClient, evidence: Evidence, *, namespace: str, image: str) -> CheckResult:
    """Run the probe in `namespace` with `image`; by default, in that of the operator and with its image."""
    installed = operators(evidence)
    first = installed[0] if installed else Operator("", "", ())
    where, what = namespace or first.namespace, image or first.image
    if not (where and what):
        return failed(CHECK, "the operator's Deployment cannot be read", "use -n to select a namespace, and --image "
                      "to select an image that has python3; the result cannot be recorded")  # fmt: skip
    pull_secrets = first.pull_secrets if where == first.namespace else ()
    objects = ProbeObjects(secrets.token_hex(3), what, pull_secrets)
    try:
        outcome = ProbeRun(client, where, objects).run()
    except (ProbeFailedError, SdkError) as error:
        return failed(CHECK, f"the test failed: {error}", "no result was recorded; the test needs permission to create "
                      f"and delete pods and NetworkPolicies and to read pods/log in namespace {where}")  # fmt: skip
    probe = _as_record(outcome, evidence, datetime.now(UTC))
    return report(probe, [each.namespace for each in installed], lambda place: _write(client, place, probe))


def report(probe: NetworkProbe, places: list[str], write: Callable[[str], None]) -> CheckResult:
    """Record the result with `write` in the namespace of each operator, and report it."""
    errors = []
    for place in places:
        try:
            write(place)
        except SdkError as error:
            errors.append(str(error))
    nodes = ", ".join(probe.nodes)
    ignored = ["ingress"] * (not probe.ingress) + ["egress"] * (not probe.egress)
    if ignored:
        return failed(CHECK, f"have no effect on {' and '.join(ignored)}, tested on {nodes}", _INSTALL_PLUGIN)
    if errors or not places:
        message = f"enforced, tested on {nodes}, but the result is not recorded: {'; '.join(errors) or 'no operator'}"
        return warned(CHECK, message, "the condition PrivacyEnforced stays Unknown; ask the administrator of the "
                      "operator to run tritonctl doctor --probe")  # fmt: skip
    recorded = ", ".join(f"{place}/{NETWORK_PROBE}" for place in places)
    return passed(CHECK, f"enforced, tested on {nodes}; recorded in ConfigMap {recorded}")


def _write(client: KubernetesClient, namespace: str, probe: NetworkProbe) -> None:
    client.apply(CHILDREN[Kind.CONFIG_MAP], record(probe), namespace, manager=FIELD_MANAGER, force=True)


def _as_record(outcome: ProbeOutcome, evidence: Evidence, now: datetime) -> NetworkProbe:
    version = evidence["version"]
    return NetworkProbe(
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        kubernetes_version="" if isinstance(version, SdkError) else str(version.get("gitVersion", "")),
        nodes=outcome.nodes,
        ingress=outcome.ingress,
        egress=outcome.egress,
    )
