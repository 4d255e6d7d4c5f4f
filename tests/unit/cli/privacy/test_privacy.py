"""`tritonctl privacy`: what it reads, prints and writes, and its exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.certificates import Authority
from tests.fake_cluster import FakeCluster
from tests.paths import ROOT
from tests.privacy_reports import a_bundle, a_config_map, a_policy, a_private_body, a_serving_pod
from tests.tritonctl import tritonctl
from triton_operator.cli.privacy.limits import NOT_COVERED
from triton_operator.cli.privacy.report import SCHEMA, PrivacyReport

PAGE = (ROOT / "docs" / "privacy.md").read_text()
VERSION = {"gitVersion": "v1.36.1"}


@pytest.fixture
def audited(cluster: FakeCluster) -> FakeCluster:
    """A cluster with a deployment whose controls are enforced, and all of its objects."""
    cluster.answer(a_private_body(), [a_serving_pod("digits-1")])
    cluster.document("/version", VERSION)
    cluster.put("networkpolicies", a_policy())
    cluster.put(
        "configmaps", a_bundle(Authority("operator").pem), a_config_map("digits-proxy", **{"policy.json": "{}"})
    )
    return cluster


def test_enforced_controls_are_exit_status_0(audited: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line is the answer; there are no colours in a pipe."""
    outcome = tritonctl(capsys, "privacy", "digits", "-n", "shop")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "shop/digits  Enforced  Enforced"
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["TLS", "Enforced", "yes", "2026-05-01T08:00:00Z", "TLS", "is", "in", "force"] in lines
    for part in ("v1.36.1", audited.url, "CN=operator", "NetworkPolicy digits", "caller shop", "Root on the node."):
        assert part in outcome.out, part
    assert "COULD NOT BE READ" not in outcome.out
    assert "\033" not in outcome.out


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (a_private_body(enforced=False), "PolicyMissing"),
        (a_private_body(status={"conditions": []}), "NotSeenYet"),
        (a_private_body(privacy={"profile": "Open"}), "ProfileOpen"),
    ],
)
@pytest.mark.parametrize("form", ["table", "json", "html"])
def test_anything_else_is_exit_status_1_and_is_still_reported(
    audited: FakeCluster, capsys: pytest.CaptureFixture[str], body: dict[str, Any], reason: str, form: str
) -> None:
    audited.answer(body)
    outcome = tritonctl(capsys, "privacy", "digits", "-o", form)
    assert outcome.code == 1
    assert reason in outcome.out
    assert outcome.err.endswith(
        f"the privacy controls of shop/digits are not enforced, or their state is unknown: {reason}\n"
    )


def test_no_secret_is_requested(audited: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Only objects of the namespace, and the version of the cluster."""
    tls = {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}}
    decryption = {"secretRef": {"name": "model-keys"}, "memory": "1Gi"}
    audited.answer(a_private_body(privacy={"tls": tls}, decryption=decryption))
    assert tritonctl(capsys, "privacy", "digits", "-n", "shop").code == 0
    paths = [request.removeprefix("GET ").partition("?")[0] for request in audited.requests]
    assert [path for path in paths if "/namespaces/shop/" not in path] == ["/version"]
    assert "certificates/digits-tls" in " ".join(paths)
    assert "secrets" not in " ".join(paths)


def test_what_cannot_be_read_is_listed(audited: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The states come from the status, so the report is still useful."""
    audited.fail("networkpolicies", 403, "networkpolicies is forbidden")
    audited.put("configmaps")
    outcome = tritonctl(capsys, "privacy", "digits", "-o", "json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["notRead"] == [
        {"what": "the NetworkPolicies", "why": "networkpolicies is forbidden"},
        {"what": "ConfigMap digits-proxy", "why": "it does not exist"},
        {"what": "ConfigMap triton-operator-ca", "why": "it does not exist"},
    ]


@pytest.mark.parametrize("form", ["table", "json", "html"])
def test_a_report_can_be_written_to_a_file(
    audited: FakeCluster, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    """The file has what would be printed."""
    file = tmp_path / "report"
    arguments = ("privacy", "digits", "-o", form)
    printed = re.sub(r"\d\d:\d\d:\d\dZ", "", tritonctl(capsys, *arguments).out)
    assert tritonctl(capsys, *arguments, "--output-file", file) == (0, "", "")
    assert re.sub(r"\d\d:\d\d:\d\dZ", "", file.read_text()) == printed
    outcome = tritonctl(capsys, *arguments, "--output-file", tmp_path / "missing" / "report")
    assert (outcome.code, outcome.out) == (1, "")
    assert "missing/report: No such file or directory" in outcome.err


def test_a_deployment_that_does_not_exist_is_exit_status_1(
    audited: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = tritonctl(capsys, "privacy", "other")
    assert (outcome.code, outcome.out) == (1, "")
    assert "kubectl get modeldeployments" in outcome.err


def test_json_has_the_documented_shape(audited: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of every object is present, and the page documents exactly these."""
    found = json.loads(tritonctl(capsys, "privacy", "digits", "-o", "json").out)
    assert found["schema"] == SCHEMA
    assert msgspec.convert(found, PrivacyReport, strict=True).deployment.name == "digits"
    documented = set(re.findall(r"^\| `([\w.\[\]]+)` \|", PAGE, re.MULTILINE))
    assert documented == set(fields(PrivacyReport))
    assert SCHEMA in PAGE


def fields(kind: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all fields of a struct."""
    for field in msgspec.structs.fields(kind):
        many = getattr(field.type, "__origin__", None) is tuple
        inner = get_args(field.type)[0] if many else field.type
        path = f"{prefix}{field.encode_name}{'[]' if many else ''}"
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from fields(inner, f"{path}.")
        else:
            yield path


def test_the_page_and_the_report_state_the_same_limits() -> None:
    section = PAGE.partition("## Who is not kept out\n")[2].partition("\n## ")[0]
    text = re.sub(r" \(\[details\]\([^)]*\)\)|`", "", section)
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    bullets = [" ".join(each.split()) for each in text.split("\n- ")[1:]]
    assert bullets == [f"**{limit.title}** {limit.text}" for limit in NOT_COVERED]
