"""Users' arguments for Triton: tuning flags are allowed; flags that weaken the pod or stop the server are rejected."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SETTINGS, a_deployment
from tests.paths import ROOT
from triton_operator.api.errors import InvalidSpecError
from triton_operator.resources.build import render
from triton_operator.triton.server.extra_args import check_extra_args, rejected_flags, without_overridden
from triton_operator.triton.server.flags import own_flags, server_flags
from triton_operator.triton.server.known_flags import KNOWN_FLAGS, LAST_READ
from triton_operator.triton.server.versions import Version

CRD = ROOT / "crds" / "modeldeployments.yaml"
OLD, NEWER = Version(24, 10), Version(26, 11)

TUNING = [
    "--http-thread-count=16",
    "--backend-config=python,shm-default-byte-size=4194304",
    "--cache-config=local,size=1048576",
    "--rate-limit=execution_count",
    "--log-format=ISO8601",
    "--metrics-config=summary_latencies=true",
    "--pinned-memory-pool-byte-size=268435456",
]


def refusal(argument: str, version: Version | None = OLD) -> InvalidSpecError:
    """The error for this argument, which follows a valid one."""
    with pytest.raises(InvalidSpecError) as refused:
        check_extra_args(["--id=a", argument], version)
    assert refused.value.path == "spec.triton.extraArgs[1]"
    return refused.value


@pytest.mark.parametrize("version", [None, OLD, NEWER])
def test_tuning_flags_are_allowed(version: Version | None) -> None:
    """For every server that supports them, and for a server of unknown release."""
    check_extra_args(TUNING, version)


@pytest.mark.parametrize(
    "argument",
    [
        "--backend-config=backend-directory=/models/evil",
        "--backend-config=,backend-directory=/models/evil",
        "--backend-config=,default-max-batch-size=4",
        "--backend-config=python,backend-directory=/models/evil",
        "--backend-config=auto-complete-config=true",
        "--backend-config=tensorrt,plugins=/models/evil.so",
        "--backend-config=dali,plugin_libs=/models/evil.so",
        "--backend-config=python,shm-region-prefix-name=triton_pytorch_backend_shm_region_",
        "--backend-config=python,a=b,backend-directory=/models",
        "--backend-config=python,thread-pool-size=1=backend-directory=/models",
        "--backend-config=shm-default-byte-size=1",
        "--backend-config=backend-directory",
        "--cache-config=../../models/evil,size=1",
        "--cache-config=redis,host=192.0.2.1",
        "--cache-config=local,size=1,host=192.0.2.1",
        "--cache-config=local",
    ],
)
@pytest.mark.parametrize("version", [None, OLD, NEWER, Version(99, 1)])
def test_an_option_cannot_set_what_a_rejected_flag_sets(argument: str, version: Version | None) -> None:
    """It cannot load a library from a model's folder or connect to other hosts, either."""
    error = refusal(argument, version)
    assert error.reason == "ServerArgumentInvalid"
    assert argument in str(error)


def test_options_that_tune_a_backend_are_allowed() -> None:
    """For one backend, and for all backends if Triton supports that."""
    options = ("default-max-batch-size=8", "python,default-max-batch-size=8", "tensorrt,coalesce-request-input=true")
    check_extra_args([f"--backend-config={option}" for option in options], OLD)


def test_a_flag_of_a_newer_release_names_that_release() -> None:
    """And the release of the server."""
    error = refusal("--http-max-input-size=134217728")
    assert error.reason == "UnsupportedByImage"
    assert "requires Triton 25.06, but the server is 24.10" in str(error)
    check_extra_args(["--http-max-input-size=134217728"], Version(25, 6))


def test_a_flag_that_no_release_has_is_invalid() -> None:
    """The message suggests a similar flag."""
    error = refusal("--http-threads-count=4")
    assert error.reason == "ServerArgumentInvalid"
    assert "Triton 24.10 has no flag --http-threads-count; did you mean --http-thread-count?" in str(error)


@pytest.mark.parametrize("version", [None, NEWER])
def test_unknown_flags_are_allowed_for_a_newer_or_unknown_server(version: Version | None) -> None:
    """It may have flags that this version of the operator does not know."""
    assert version is None or version > LAST_READ
    check_extra_args(["--brand-new=1"], version)


@pytest.mark.parametrize("version", [None, OLD, NEWER])
@pytest.mark.parametrize("name", sorted(rejected_flags()))
def test_a_flag_that_users_must_not_set_is_rejected(name: str, version: Version | None) -> None:
    """With the reason, for every server."""
    error = refusal(f"--{name}=1", version)
    assert error.reason == "ServerArgumentInvalid"
    assert f"--{name} cannot be set here because " in str(error)


@pytest.mark.parametrize("version", [None, OLD, NEWER])
@pytest.mark.parametrize("short", ["model-rep", "http-restricted-ap", "trace-conf", "log-verb"])
def test_an_abbreviated_flag_is_rejected(short: str, version: Version | None) -> None:
    """Triton's parser would expand it."""
    assert f"--{short} is an abbreviation; write the full name: --{short}" in str(refusal(f"--{short}=x", version))


@given(name=st.sampled_from(sorted(rejected_flags())), length=st.integers(1, 40), version=st.sampled_from([None, OLD]))
def test_every_prefix_of_a_rejected_flag_is_rejected(name: str, length: int, version: Version | None) -> None:
    """Except prefixes that are flags themselves."""
    prefix = name[:length]
    if prefix not in KNOWN_FLAGS or prefix in rejected_flags():
        with pytest.raises(InvalidSpecError):
            check_extra_args([f"--{prefix}=x"], version)


@pytest.mark.parametrize(
    "argument",
    ["", "--", "-v", "--id", "--id=", "id=a", "--ID=a", "--id =a", "--id=a\nb", "--id=a\x00", "=a", "4", "---id=a"],
)
def test_an_argument_that_is_not_a_flag_with_its_value_is_rejected(argument: str) -> None:
    """The checks would miss a value in a separate argument, and a flag without a value would consume the next flag."""
    assert "is not a flag with its value" in str(refusal(argument))


def test_references_to_environment_variables_are_rejected() -> None:
    """The kubelet would replace them with the container's variables."""
    assert "$( )" in str(refusal("--id=$(HOME)"))


def test_every_flag_of_the_operator_is_in_the_table_of_releases() -> None:
    """The two tables agree."""
    assert {flag.name for flag in own_flags()} <= KNOWN_FLAGS.keys()
    assert all(KNOWN_FLAGS[flag.name] <= flag.since for flag in own_flags())
    assert rejected_flags().keys() <= KNOWN_FLAGS.keys()


def test_the_users_value_of_a_tuning_flag_replaces_the_operators() -> None:
    """All other flags of the operator remain."""
    flags = server_flags(OLD, log_level="Warning", gpu=False)
    left = without_overridden(flags, ["--pinned-memory-pool-byte-size=1", "--id=a"])
    assert left == [flag for flag in flags if flag.name != "pinned-memory-pool-byte-size"]


def test_the_users_arguments_follow_the_operators() -> None:
    """In the user's order."""
    extra = [
        "--http-thread-count=16",
        "--backend-config=python,thread-pool-size=2",
        "--backend-config=python,stub-timeout-seconds=60",
    ]
    (deployment,) = (child for child in _render(extraArgs=extra) if child["kind"] == "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[-3:] == extra


def test_rendering_fails_for_an_invalid_argument() -> None:
    """So no pod is created."""
    with pytest.raises(InvalidSpecError, match=r"spec\.triton\.extraArgs\[0\]: --allow-client-shm cannot be set here"):
        _render(extraArgs=["--allow-client-shm=true"])


def test_the_definition_rejects_the_same_flags() -> None:
    """The list exists twice, because the package does not include the definition."""
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = schema["properties"]["spec"]["properties"]["triton"]["properties"]["extraArgs"]["items"]
    (listed,) = re.findall(r"matches\('\^--\(([a-z0-9|-]+)\)=", str(rules["x-kubernetes-validations"]))
    assert listed.split("|") == sorted(rejected_flags())


def _render(**triton: Any) -> list[dict[str, Any]]:
    return render(a_deployment(triton=triton), SETTINGS)
