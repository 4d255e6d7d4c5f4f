"""`tritonctl ca`: the bundle of a deployment, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.tritonctl import tritonctl

REFERENCE = {"name": "triton-operator-ca", "key": "ca.crt"}


def answer(cluster: FakeCluster, **endpoints: Any) -> None:
    """Store a deployment with these addresses."""
    metadata = {"name": "digits", "namespace": NAMESPACE}
    cluster.answer({"metadata": metadata, "status": {"endpoints": endpoints}})


def test_the_bundle_goes_to_standard_output_or_a_file(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, tmp_path: Path
) -> None:
    """Unchanged, so that it can be redirected."""
    answer(cluster, https="https://digits.models.svc:8443", caBundleRef=REFERENCE)
    cluster.put("configmaps", {"metadata": {"name": "triton-operator-ca"}, "data": {"ca.crt": "one\ntwo\n"}})
    assert tritonctl(capsys, "ca", "digits") == (0, "one\ntwo\n", "")
    file = tmp_path / "ca.crt"
    assert tritonctl(capsys, "ca", "digits", "--output-file", file) == (0, "", "")
    assert file.read_text() == "one\ntwo\n"
    outcome = tritonctl(capsys, "ca", "digits", "--output-file", tmp_path / "missing" / "ca.crt")
    assert (outcome.code, outcome.out) == (1, "")


@pytest.mark.parametrize(
    ("endpoints", "sentence"),
    [
        ({"http": "http://digits.models.svc:8000"}, "digits has no TLS"),
        ({"https": "https://digits.models.svc:8443"}, "the operator does not manage the certificate of digits"),
        (
            {"https": "https://digits.models.svc:8443", "caBundleRef": REFERENCE},
            "error: ConfigMap triton-operator-ca in namespace models, which has the CA certificates of the deployment",
        ),
    ],
)
def test_a_deployment_without_a_bundle_says_why(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, endpoints: dict[str, Any], sentence: str
) -> None:
    answer(cluster, **endpoints)
    outcome = tritonctl(capsys, "ca", "digits")
    assert outcome.code in {1, 3}
    assert outcome.out == ""
    assert sentence in outcome.err
