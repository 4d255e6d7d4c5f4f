"""Whether nodes have swap, onto which the plaintext of encrypted models could be written.

Pure. Input: evidence. Output: one result. Kubelets of release 1.34 and newer report the capacity of the swap, and leave
the field out if there is none. The API does not show whether the kubelet lets pods use the swap.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from triton_operator.cli.doctor.check_result import CheckResult, items, passed, unknown, warned
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.user_checks import deployments_with
from triton_operator.sdk.errors import SdkError

CHECK = "swap"
REPORTED_SINCE = (1, 34)
"""The first release of the kubelet that reports swap."""
_SHOWN = 8
_ADVICE = (
    "disable swap on these nodes, or set memorySwap.swapBehavior of the kubelet to NoSwap; tritonctl cannot check it"
)


class _Swap(NamedTuple):
    """The swap of a node in bytes; None if the kubelet does not report it."""

    node: str
    size: int | None

    def __str__(self) -> str:
        return f"{self.node} ({'unknown' if self.size is None else f'{self.size / (1 << 30):.1f} GiB'})"


def check_swap(evidence: Evidence) -> CheckResult:
    """No node has swap, if deployments decrypt models."""
    users = deployments_with(evidence, "decryption")
    if not users and not isinstance(evidence["deployments"], SdkError):
        return passed(CHECK, f"no ModelDeployment in namespace {evidence.namespace} decrypts models")
    response = evidence["nodes"]
    if isinstance(response, SdkError):
        return unknown(CHECK, response, "decrypted models are in memory, which must not be written to swap")
    swaps = [_swap(node) for node in items(response)]
    found = [swap for swap in swaps if swap.size != 0]
    if not found:
        return passed(CHECK, f"none on {len(swaps)} node{'s' if len(swaps) != 1 else ''}")
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    affected = f"; {', '.join(users)} decrypt{'s' if len(users) == 1 else ''} models into memory" if users else ""
    return warned(CHECK, f"{', '.join(map(str, found[:_SHOWN]))}{more}{affected}", _ADVICE)


def _swap(node: dict[str, Any]) -> _Swap:
    name = str(node.get("metadata", {}).get("name", ""))
    reported = node.get("status", {}).get("nodeInfo", {})
    capacity = (reported.get("swap") or {}).get("capacity")
    if capacity is None and _release(str(reported.get("kubeletVersion", ""))) >= REPORTED_SINCE:
        capacity = 0
    return _Swap(name, capacity)


def _release(version: str) -> tuple[int, ...]:
    """Major and minor number, as in v1.36.1; () if there are none."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
