"""What a client in a pod knows from its mounted files, so that it needs no rights in the cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from triton_operator.api.names import audience
from triton_operator.sdk import access
from triton_operator.sdk.access import AccessOptions, Target, access_by_name
from triton_operator.sdk.errors import InvalidRequestError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.security import Trust


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pod for mounted files, which has nothing yet; the API server does not answer."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(access, "POD_FOLDER", tmp_path)
    return tmp_path


def target(namespace: str = "models", options: AccessOptions | None = None) -> Target:
    """The deployment `digits`."""
    cluster = KubeContext()
    return Target("digits", namespace, "", cluster, KubernetesClient(cluster), options or AccessOptions())


def token_for(*deployments: str) -> str:
    """A token for these deployments of the namespace."""
    claims = json.dumps({"aud": [audience("models", each) for each in deployments]}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


def test_mounted_authorities_need_no_request(folder: Path) -> None:
    """The name of the Service is verified, and the port is that with TLS."""
    (folder / "ca.crt").write_text("PEM")
    found = access_by_name(target())
    assert found.namespace == "models"
    assert found.security.trust == Trust("PEM", "digits.models.svc", own=True)
    assert found.security.token is None


def test_a_mounted_token_is_sent_only_to_the_deployment_that_it_is_for(folder: Path) -> None:
    """Another one could use it."""
    (folder / "ca.crt").write_text("PEM")
    (folder / "token").write_text(token_for("words"))
    assert access_by_name(target()).security.headers() == {}
    (folder / "token").write_text(token_for("words", "digits"))
    token = token_for("words", "digits")
    assert access_by_name(target()).security.headers() == {"authorization": f"Bearer {token}"}


def test_an_option_takes_precedence_over_mounted_files(folder: Path, tmp_path: Path) -> None:
    for name in ("ca.crt", "token", "other.crt"):
        (folder / name).write_text(token_for("digits") if name == "token" else name)
    options = AccessOptions(ca_file=str(folder / "other.crt"), token="mine", server_name="digits.example.com")
    security = access_by_name(target(options=options)).security
    assert security.trust == Trust("other.crt", "digits.example.com", own=True)
    assert security.headers() == {"authorization": "Bearer mine"}


def test_without_files_and_without_the_api_server_there_is_no_connection(folder: Path) -> None:
    """It is not known whether the deployment has TLS; the message says what to mount."""
    with pytest.raises(UnreachableError, match=r"not known whether digits uses TLS.*ca\.crt, or pass ca_file or url"):
        access_by_name(target())


def test_a_namespace_that_the_pod_does_not_know_must_be_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another namespace may have a deployment of the same name."""
    (folder / "ca.crt").write_text("PEM")
    monkeypatch.setattr(access, "_NAMESPACE_FILE", tmp_path / "namespace")
    with pytest.raises(InvalidRequestError, match="namespace: pass it"):
        access_by_name(target(""))
    (tmp_path / "namespace").write_text("models")
    assert access_by_name(target("")).namespace == "models"
