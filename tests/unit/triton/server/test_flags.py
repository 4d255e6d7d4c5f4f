"""The arguments of a serving pod: complete, safe, and supported by the server."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.api.spec import Endpoint
from triton_operator.triton.server.flags import ADMIN_APIS, COMMON_SINCE, FIXED, Listening, server_flags
from triton_operator.triton.server.versions import Version

LEVELS = ["Error", "Warning", "Info"]
NEWEST = Version(26, 11)


def flags(version: Version | None = NEWEST, *, log_level: str = "Warning", gpu: bool = False) -> dict[str, str]:
    """Arguments as a mapping; fails if a flag occurs twice."""
    chosen = server_flags(version, log_level=log_level, gpu=gpu)
    assert len({flag.name for flag in chosen}) == len(chosen)
    return {flag.name: flag.value or "" for flag in chosen}


def test_all_arguments_of_a_pod_with_a_new_server() -> None:
    """The entire command line, so that any change fails this test."""
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


def test_a_flag_without_a_value_has_no_equals_sign() -> None:
    """Triton's help shows this one without a value."""
    arguments = [flag.argument() for flag in server_flags(NEWEST, log_level="Warning", gpu=False)]
    assert "--disable-auto-complete-config" in arguments


@pytest.mark.parametrize(
    ("version", "knows"),
    [(None, False), (Version(24, 10), False), (Version(26, 3), False), (Version(26, 4), True), (NEWEST, True)],
)
def test_a_flag_is_set_only_for_servers_that_support_it(version: Version | None, knows: bool) -> None:
    """Triton exits on an unknown flag. Those servers enable the feature, so it is also restricted."""
    assert ("allow-client-shm" in flags(version)) is knows
    assert flags(version)["http-restricted-api"].startswith("shared-memory,")


@settings(deadline=None)
@given(st.builds(Version, st.integers(25, 40), st.integers(1, 12)), st.sampled_from(LEVELS), st.booleans())
def test_a_newer_server_gets_at_least_the_same_flags(version: Version, level: str, gpu: bool) -> None:
    """And every server gets the common flags."""
    common = set(flags(None, log_level=level, gpu=gpu).items())
    assert (
        common <= set(flags(version, log_level=level, gpu=gpu).items()) <= set(flags(log_level=level, gpu=gpu).items())
    )


@pytest.mark.parametrize(
    ("level", "warning", "info"), [("Error", "false", "false"), ("Warning", "true", "false"), ("Info", "true", "true")]
)
def test_log_levels(level: str, warning: str, info: str) -> None:
    """Errors are always logged, so that a failed start has a reason."""
    chosen = flags(log_level=level)
    assert (chosen["log-error"], chosen["log-warning"], chosen["log-info"]) == ("true", warning, info)
    assert chosen["log-verbose"] == "0"


def test_an_unknown_log_level_is_an_error() -> None:
    """The schema has an enumeration, but callers may bypass it."""
    with pytest.raises(ValueError, match="Verbose"):
        server_flags(NEWEST, log_level="Verbose", gpu=False)


def test_a_pod_without_a_gpu_disables_gpu_features() -> None:
    """GPU metrics and pinned memory are off; a pod with a GPU keeps the server's default pool."""
    assert flags(gpu=True)["allow-gpu-metrics"] == "true"
    assert "pinned-memory-pool-byte-size" not in flags(gpu=True)
    assert flags(gpu=False)["allow-gpu-metrics"] == "false"
    assert flags(gpu=False)["pinned-memory-pool-byte-size"] == "0"


def test_a_server_behind_the_proxy_is_reached_on_loopback_only() -> None:
    """Metrics have a policy of their own. The proxy keeps its connections open, so they have no maximum age."""
    plain, behind = (
        {
            flag.argument()
            for flag in server_flags(NEWEST, log_level="Warning", gpu=False, listening=Listening(behind_proxy=behind))
        }
        for behind in (False, True)
    )
    assert behind - plain == {"--http-address=127.0.0.1", "--grpc-address=127.0.0.1"}
    assert plain - behind == {
        "--http-address=0.0.0.0",
        "--grpc-address=0.0.0.0",
        "--grpc-max-connection-age=10000",
    }
    assert "--metrics-address=0.0.0.0" in behind


def test_no_flag_weakens_the_restrictions() -> None:
    """No trace file, header forwarding, dynamic loading or connection grace; inference is not restricted."""
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
def test_apis_without_tensors_can_be_opened_for_both_protocols(opened: tuple[Endpoint, ...], closed: set[str]) -> None:
    """APIs that can change the server or read its memory cannot be opened."""
    always = {"shared-memory", "model-repository", "trace", "logging"}
    chosen = {
        flag.name: flag.value or ""
        for flag in server_flags(NEWEST, log_level="Warning", gpu=False, open_endpoints=opened)
    }
    for name in ("http-restricted-api", "grpc-restricted-protocol"):
        assert set(chosen[name].partition(":")[0].split(",")) == always | closed


def test_each_flag_has_a_reason_and_a_release() -> None:
    """Documentation can be generated from the table."""
    for flag in FIXED:
        assert flag.reason.endswith(".")
        assert COMMON_SINCE <= flag.since <= NEWEST
