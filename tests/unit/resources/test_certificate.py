"""The Certificate of TLS mode CertManager."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.serving_names import is_reserved, serving_names
from triton_operator.resources.build import render
from triton_operator.resources.metadata import Manifest

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
HOSTNAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


def a_certificate(issuer: dict[str, str] | None = None, **spec: Any) -> Manifest:
    tls = {"mode": "CertManager", "certManager": {"issuerRef": issuer or {"name": "company"}}}
    children = render(a_deployment(**({"privacy": {"tls": tls}} | spec)), SETTINGS)
    (found,) = (child for child in children if child["kind"] == "Certificate")
    return found


def test_it_requests_a_new_key_for_each_certificate_of_a_server() -> None:
    certificate = a_certificate()
    assert certificate["apiVersion"] == "cert-manager.io/v1"
    assert certificate["metadata"]["name"] == certificate["spec"]["secretName"] == "digits-tls"
    assert certificate["spec"]["privateKey"] == {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}
    assert certificate["spec"]["usages"] == ["digital signature", "server auth"]


def test_it_is_deleted_with_the_deployment_and_watched_by_its_label() -> None:
    metadata = a_certificate()["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ModelDeployment", "uid-of-digits", True)
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "triton-operator"


@pytest.mark.parametrize(
    ("issuer", "reference"),
    [
        ({"name": "company"}, {"name": "company", "kind": "Issuer", "group": "cert-manager.io"}),
        (
            {"name": "company", "kind": "ClusterIssuer"},
            {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"},
        ),
        (
            {"name": "private", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"},
            {"name": "private", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"},
        ),
    ],
)
def test_the_issuer_is_that_of_the_spec(issuer: dict[str, str], reference: dict[str, str]) -> None:
    assert a_certificate(issuer)["spec"]["issuerRef"] == reference


@given(st.lists(HOSTNAMES, max_size=16, unique=True))
def test_it_is_valid_for_the_names_of_the_mode_managed(hostnames: list[str]) -> None:
    """Those of the Services, of the pods, and hostnames that no other deployment can have; each once."""
    names = a_certificate(service={"hostnames": hostnames})["spec"]["dnsNames"]
    assert names == list(serving_names("shop", "digits", tuple(hostnames)))
    assert {"digits.shop.svc", "digits.shop.svc.cluster.local", "*.digits-headless.shop.svc"} <= set(names)
    assert {name for name in hostnames if not is_reserved(name)} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("mode", ["Managed", "External", "Disabled"])
def test_other_modes_have_none(mode: str) -> None:
    children = render(a_deployment(privacy={"tls": {"mode": mode}}), SETTINGS)
    assert "Certificate" not in {child["kind"] for child in children}
