"""The end of a pod: what the user sets, what follows from it for Triton and the proxy, and what is too short."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.proxy.__main__ import argument_parser
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import render
from triton_operator.resources.revision import inputs_hash
from triton_operator.resources.termination import Termination, termination
from triton_operator.triton.server.flags import EXIT_TIMEOUT_SECONDS

DEFAULT: dict[str, int] = {}


def pod_of(lifecycle: dict[str, int], **spec: Any) -> dict[str, Any]:
    children = render(a_deployment(lifecycle=lifecycle, **spec), SETTINGS)
    (deployment,) = [child for child in children if child["kind"] == "Deployment"]
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize(
    ("lifecycle", "times", "drain_delay"),
    [
        (DEFAULT, Termination(15, 30, 50), 10),
        ({"preStopSeconds": 60}, Termination(60, 30, 95), 55),
        ({"terminationGracePeriodSeconds": 320}, Termination(15, 300, 320), 10),
        ({"preStopSeconds": 60, "terminationGracePeriodSeconds": 365}, Termination(60, 300, 365), 55),
        ({"preStopSeconds": 3}, Termination(3, 30, 38), 2),
        ({"preStopSeconds": 0}, Termination(0, 30, 35), 0),
        ({"preStopSeconds": 0, "terminationGracePeriodSeconds": 6}, Termination(0, 1, 6), 0),
    ],
)
def test_the_exit_timeout_is_what_the_grace_period_leaves(
    lifecycle: dict[str, int], times: Termination, drain_delay: int
) -> None:
    """The proxy drains before Triton stops listening, and waits as long as Triton."""
    assert termination(a_deployment(lifecycle=lifecycle).spec) == times
    pod = pod_of(lifecycle)
    (triton,), proxy = pod["containers"], pod["initContainers"][-1]
    assert pod["terminationGracePeriodSeconds"] == times.grace
    assert f"--exit-timeout-secs={times.exit_timeout}" in triton["args"]
    hook = {"preStop": {"sleep": {"seconds": times.pre_stop}}} if times.pre_stop else None
    assert triton.get("lifecycle") == hook
    assert f"time.sleep({drain_delay});" in proxy["lifecycle"]["preStop"]["exec"]["command"][-1]
    options = argument_parser().parse_args(proxy["command"][3:])
    assert options.drain == times.exit_timeout
    assert drain_delay + options.drain < times.grace


def test_without_the_proxy_triton_has_the_same_times() -> None:
    pod = pod_of({"preStopSeconds": 5, "terminationGracePeriodSeconds": 100}, privacy=WITHOUT_TLS)
    assert pod["terminationGracePeriodSeconds"] == 100
    assert "--exit-timeout-secs=90" in pod["containers"][0]["args"]


def test_the_default_of_the_proxy_is_that_of_triton() -> None:
    """The argument is omitted then, so that pods do not change."""
    assert argument_parser().parse_args([]).drain == EXIT_TIMEOUT_SECONDS
    assert pod_of(DEFAULT)["initContainers"][-1]["command"] == ["python3", "-m", "triton_operator.proxy"]


@pytest.mark.parametrize(
    ("lifecycle", "numbers"),
    [
        ({"terminationGracePeriodSeconds": 20}, "20 is too short: preStopSeconds 15 .* 1 for .* 5 of margin = 21;"),
        ({"preStopSeconds": 60, "terminationGracePeriodSeconds": 65}, "65 is too short: preStopSeconds 60 .* = 66;"),
        ({"preStopSeconds": 0, "terminationGracePeriodSeconds": 5}, "5 is too short: preStopSeconds 0 .* = 6;"),
    ],
)
def test_a_grace_period_that_leaves_no_time_for_requests_is_rejected_with_the_sum(
    lifecycle: dict[str, int], numbers: str
) -> None:
    """One second more is accepted."""
    with pytest.raises(InvalidSpecError, match=rf"spec\.lifecycle\.terminationGracePeriodSeconds: {numbers}"):
        validate(a_deployment(lifecycle=lifecycle).spec)
    longer = lifecycle | {"terminationGracePeriodSeconds": lifecycle["terminationGracePeriodSeconds"] + 1}
    validate(a_deployment(lifecycle=longer).spec)


@pytest.mark.parametrize("change", [{"preStopSeconds": 15}, {"terminationGracePeriodSeconds": 50}])
def test_a_change_of_the_times_renders_the_pods_again(change: dict[str, int]) -> None:
    assert inputs_hash(a_deployment(lifecycle=change).spec) != inputs_hash(a_deployment().spec)
