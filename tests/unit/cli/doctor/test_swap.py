"""The swap of nodes, as far as the kubelet reports it, matters to deployments that decrypt models."""

from __future__ import annotations

from typing import Any

import pytest

from triton_operator.cli.doctor.check_result import CheckResult
from triton_operator.cli.doctor.evidence import Evidence, Response
from triton_operator.cli.doctor.swap import check_swap
from triton_operator.sdk.errors import RejectedError

FORBIDDEN = RejectedError("no")
DECRYPTING = {"metadata": {"name": "secret"}, "spec": {"decryption": {"memory": "1Gi"}}}


def a_node(name: str = "node-1", capacity: int | None = None, kubelet: str = "v1.36.1") -> dict[str, Any]:
    swap = {} if capacity is None else {"swap": {"capacity": capacity}}
    return {"metadata": {"name": name}, "status": {"nodeInfo": {"kubeletVersion": kubelet, **swap}}}


def result(*nodes: dict[str, Any], deployments: Response | None = None, **responses: Response) -> CheckResult:
    """The result for one deployment that decrypts models."""
    read: dict[str, Response] = {
        "deployments": {"items": [DECRYPTING]} if deployments is None else deployments,
        "nodes": {"items": list(nodes)},
    }
    return check_swap(Evidence("models", read | responses))


@pytest.mark.parametrize(
    ("node", "status", "part"),
    [
        (a_node(capacity=2 << 30), "warn", "node-1 (2.0 GiB); secret decrypts models into memory"),
        (a_node(capacity=0), "ok", "none on 1 node"),
        (a_node(), "ok", "none on 1 node"),
        (a_node(kubelet="v1.34.0"), "ok", "none on 1 node"),
        (a_node(kubelet="v1.33.9"), "warn", "node-1 (unknown);"),
        (a_node(capacity=1 << 30, kubelet="v1.33.9"), "warn", "node-1 (1.0 GiB);"),
        (a_node(kubelet=""), "warn", "node-1 (unknown);"),
        ({"metadata": {"name": "node-1"}}, "warn", "node-1 (unknown);"),
    ],
)
def test_a_node_has_swap_no_swap_or_does_not_report_it(node: dict[str, Any], status: str, part: str) -> None:
    found = result(node)
    assert (found.status, part in found.message) == (status, True), found


def test_each_node_with_swap_is_named_and_the_others_are_not() -> None:
    found = result(a_node("a", 1 << 30), a_node("b"), a_node("c", kubelet="v1.30.0"))
    assert found.message.startswith("a (1.0 GiB), c (unknown); ")
    assert "tritonctl cannot check it" in found.advice


def test_a_long_list_is_cut() -> None:
    assert "n7 (1.0 GiB) and 3 more; " in result(*(a_node(f"n{number}", 1 << 30) for number in range(11))).message


def test_swap_matters_only_if_a_deployment_decrypts_models_or_may_do_so() -> None:
    """A user who cannot list deployments gets the warning as well."""
    plain: Response = {"items": [{"metadata": {"name": "digits"}, "spec": {}}]}
    assert result(a_node(capacity=1 << 30), deployments=plain).status == "ok"
    found = result(a_node(capacity=1 << 30), deployments=FORBIDDEN)
    assert (found.status, found.message) == ("warn", "node-1 (1.0 GiB)")


def test_nodes_that_cannot_be_read_are_unknown() -> None:
    found = result(nodes=FORBIDDEN)
    assert (found.status, found.message) == ("warn", "cannot be checked: no")
