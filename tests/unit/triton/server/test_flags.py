"""Arguments of a serving pod: complete, safe, and never one that the server does not know."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.api.spec import Endpoint
from triton_operator.triton.server.flags import ADMIN_APIS, COMMON_SINCE, FIXED, server_flags
from triton_operator.triton.server.versions import Version

LEVELS = ["Error", "Warning", "Info"]
NEWEST = Version(26, 11)


def flags(version: Version | None = NEWEST, *, log_level: str = "Warning", gpu: bool = False) -> dict[str, str]:
    """Arguments as a mapping; a flag that is given twice fails."""
    chosen = server_flags(version, log_level=log_level, gpu=gpu)
    assert len({flag.name for flag in chosen}) == len(chosen)
    return {flag.name: flag.value or "" for flag in chosen}


def test_all_arguments_of_a_pod_with_a_new_server() -> None:
    """The whole command line, so that a change of it is seen."""
    restriction = "shared-memory,model-config,model-repository,statistics,trace,logging:CLOSED:TO-ALL=never"
    assert flags() == {
        "model-repository": "/models",
        "model-control-mode": "none",
        "disable-auto-complete-config": "",
        "exit-on-error": "true",
        "strict-readiness": "true",
        "exit-timeout-secs": "30",
        "grpc-max-connection-age": "10000",
        "allow-http": "true",
        "allow-grpc": "true",
        "allow-sagemaker": "false",
        "allow-vertex-ai": "false",
        "http-restricted-api": restriction,
        "grpc-restricted-protocol": restriction,
        "allow-client-shm": "false",
        "allow-metrics": "true",
        "allow-cpu-metrics": "false",
        "allow-gpu-metrics": "false",
        "pinned-memory-pool-byte-size": "0",
        "http-address": "0.0.0.0",
        "http-port": "8000",
        "grpc-address": "0.0.0.0",
        "grpc-port": "8001",
        "metrics-address": "0.0.0.0",
        "metrics-port": "8002",
        "log-error": "true",
        "log-warning": "true",
        "log-info": "false",
        "log-verbose": "0",
    }


def test_a_bare_switch_has_no_value() -> None:
    """Triton's help shows this one without a value."""
    arguments = [flag.argument() for flag in server_flags(NEWEST, log_level="Warning", gpu=False)]
    assert "--disable-auto-complete-config" in arguments


@pytest.mark.parametrize(
    ("version", "knows"),
    [(None, False), (Version(24, 10), False), (Version(26, 3), False), (Version(26, 4), True), (NEWEST, True)],
)
def test_a_flag_is_given_only_to_servers_that_have_it(version: Version | None, knows: bool) -> None:
    """Triton exits on an unknown flag; without it the feature is on in those servers, hence the restriction too."""
    assert ("allow-client-shm" in flags(version)) is knows
    assert flags(version)["http-restricted-api"].startswith("shared-memory,")


@settings(deadline=None)
@given(st.builds(Version, st.integers(25, 40), st.integers(1, 12)), st.sampled_from(LEVELS), st.booleans())
def test_a_newer_server_never_gets_fewer_flags(version: Version, level: str, gpu: bool) -> None:
    """And every server gets the common ones."""
    common = set(flags(None, log_level=level, gpu=gpu).items())
    assert (
        common <= set(flags(version, log_level=level, gpu=gpu).items()) <= set(flags(log_level=level, gpu=gpu).items())
    )


@pytest.mark.parametrize(
    ("level", "warning", "info"), [("Error", "false", "false"), ("Warning", "true", "false"), ("Info", "true", "true")]
)
def test_log_levels(level: str, warning: str, info: str) -> None:
    """Errors always, so that a failed start says why."""
    chosen = flags(log_level=level)
    assert (chosen["log-error"], chosen["log-warning"], chosen["log-info"]) == ("true", warning, info)
    assert chosen["log-verbose"] == "0"


def test_an_unknown_log_level_is_an_error() -> None:
    """The schema has an enumeration; whoever comes around it hears so."""
    with pytest.raises(ValueError, match="Verbose"):
        server_flags(NEWEST, log_level="Verbose", gpu=False)


def test_a_pod_without_gpu_asks_for_nothing_that_needs_one() -> None:
    """Neither metrics of it nor memory to exchange with it; a pod with one keeps the server's own pool."""
    assert flags(gpu=True)["allow-gpu-metrics"] == "true"
    assert "pinned-memory-pool-byte-size" not in flags(gpu=True)
    assert flags(gpu=False)["allow-gpu-metrics"] == "false"
    assert flags(gpu=False)["pinned-memory-pool-byte-size"] == "0"


def test_metrics_can_have_an_address_of_their_own() -> None:
    """For a server behind a proxy."""
    chosen = server_flags(NEWEST, log_level="Warning", gpu=False, address="127.0.0.1", metrics_address="0.0.0.0")
    arguments = {flag.argument() for flag in chosen}
    assert {"--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=0.0.0.0"} <= arguments


def test_nothing_that_opens_a_door() -> None:
    """No trace file, no header forwarding, no dynamic loading, no grace that cuts calls, no prediction restricted."""
    chosen = flags()
    forbidden = {
        "trace-config",
        "trace-file",
        "http-header-forward-pattern",
        "load-model",
        "grpc-max-connection-age-grace",
    }
    assert not forbidden & chosen.keys()
    assert not {"inference", "health", "metadata"} & set(ADMIN_APIS)


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ((), {"statistics", "model-config"}),
        ((Endpoint.STATISTICS,), {"model-config"}),
        ((Endpoint.MODEL_CONFIG,), {"statistics"}),
        (tuple(Endpoint), set()),
    ],
)
def test_what_tells_no_tensor_can_be_opened_for_both_protocols(opened: tuple[Endpoint, ...], closed: set[str]) -> None:
    """And whatever can change the server or read its memory never."""
    always = {"shared-memory", "model-repository", "trace", "logging"}
    chosen = {
        flag.name: flag.value or ""
        for flag in server_flags(NEWEST, log_level="Warning", gpu=False, open_endpoints=opened)
    }
    for name in ("http-restricted-api", "grpc-restricted-protocol"):
        assert set(chosen[name].partition(":")[0].split(",")) == always | closed


def test_each_flag_has_a_reason_and_a_release() -> None:
    """The table is data that documentation can be made of."""
    for flag in FIXED:
        assert flag.reason.endswith(".")
        assert COMMON_SINCE <= flag.since <= NEWEST
