"""Sources of tokens: when each reads its token again, and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_cluster import NAMESPACE, FakeCluster
from triton_operator.sdk import DeploymentNotFoundError, InvalidRequestError, RejectedError, UnreachableError
from triton_operator.sdk.access import AccessOptions
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.service_account_token import service_account_token
from triton_operator.sdk.tokens import CalledToken, FileToken, FixedToken, Grant, GrantedToken, audiences

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(seconds=1000)
AUDIENCE = "modeldeployments.triton-operator.io/models/digits"


class Issuer:
    """Grants numbered tokens; the time is set by the test."""

    def __init__(self) -> None:
        self.now = START
        self.granted = 0
        self.refuses = False

    def grant(self) -> Grant:
        if self.refuses:
            raise UnreachableError("no answer")
        self.granted += 1
        return Grant(f"token-{self.granted}", self.now, self.now + LIFE)

    @property
    def source(self) -> GrantedToken:
        """A source of its tokens."""
        return GrantedToken(self.grant, lambda: self.now)


def after(seconds: float) -> datetime:
    """A time."""
    return START + timedelta(seconds=seconds)


def test_a_granted_token_is_renewed_after_four_fifths_of_its_life() -> None:
    issuer = Issuer()
    source = issuer.source
    assert not source.is_ready
    assert source.read() == "token-1"
    issuer.now = after(799)
    assert (source.is_ready, source.read()) == (True, "token-1")
    issuer.now = after(801)
    assert (source.is_ready, source.read()) == (False, "token-2")


def test_a_token_that_cannot_be_renewed_is_used_until_it_expires() -> None:
    issuer = Issuer()
    source = issuer.source
    source.read()
    issuer.refuses, issuer.now = True, after(999)
    assert source.read() == "token-1"
    issuer.now = after(1000)
    with pytest.raises(UnreachableError, match="no answer"):
        source.read()


def test_a_rejected_token_is_requested_again_only_once_for_all_its_requests() -> None:
    """Many requests may be in flight with it."""
    issuer = Issuer()
    source = issuer.source
    token = source.read()
    assert [source.renew(token) for _ in range(3)] == [True] * 3
    assert (source.read(), issuer.granted) == ("token-2", 2)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" one\n")
    source = FileToken(file)
    assert source.read() == "one"
    assert not source.renew("one")
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").rename(file)
    assert source.renew("one")
    assert source.read() == "two"
    file.unlink()
    with pytest.raises(InvalidRequestError, match="token_file"):
        source.read()


@pytest.mark.parametrize("text", ["", "  \n", "a b", "a\nb", "a\r\nX: y", "ü", "a\0b"])
def test_a_text_that_no_header_can_have_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    """It may be a token with a line break, and messages end up in logs."""
    file = tmp_path / "token"
    file.write_text(text)
    for make in (lambda: FixedToken(text), lambda: FileToken(file), lambda: CalledToken(lambda: text)):
        with pytest.raises(InvalidRequestError) as caught:
            make().read()
        assert not text.strip() or text not in str(caught.value)


def test_only_one_source_may_be_given() -> None:
    with pytest.raises(InvalidRequestError, match="only one of token and service_account"):
        AccessOptions(token="t", service_account="app")
    assert AccessOptions(ca_file="x", token="t").token == "t"


def jwt(claims: object) -> str:
    """An unsigned token with these claims."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({}, claims)]
    return ".".join([*parts, "signature"])


def test_the_audiences_of_a_token_are_read() -> None:
    """One or several; anything else has none."""
    assert audiences(jwt({"aud": AUDIENCE})) == (AUDIENCE,)
    assert audiences(jwt({"aud": ["a", AUDIENCE]})) == ("a", AUDIENCE)
    assert audiences(jwt({})) == audiences(jwt([])) == audiences("a.b.c") == audiences("opaque") == ()


@given(st.text())
def test_any_text_may_be_a_token(text: str) -> None:
    """Its audiences are read without an error."""
    assert audiences(f"x.{text}.y") is not None


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that grants tokens."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        yield cluster


def test_a_token_of_a_service_account_is_requested_for_the_deployments_audience(cluster: FakeCluster) -> None:
    """The account may be in another namespace."""
    for account, namespace in (("app", NAMESPACE), ("other/app", "other")):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/app/token"
        cluster.grant(path, "t", "2026-01-01T01:00:00Z")
        assert service_account_token(KubernetesClient(), account, NAMESPACE, AUDIENCE).read() == "t"
        assert cluster.requests[-1] == f"POST {path}"
        assert cluster.bodies[-1]["spec"] == {"audiences": [AUDIENCE], "expirationSeconds": 3600}


@pytest.mark.parametrize(
    ("code", "error", "sentence"),
    [
        (403, RejectedError, "the verb create for the resource serviceaccounts/token in namespace models"),
        (404, DeploymentNotFoundError, "namespace models has no ServiceAccount app"),
    ],
)
def test_an_error_of_the_api_server_says_what_is_missing(
    cluster: FakeCluster, code: int, error: type[Exception], sentence: str
) -> None:
    cluster.fail("serviceaccounts", code, "forbidden")
    with pytest.raises(error, match=sentence):
        service_account_token(KubernetesClient(), "app", NAMESPACE, AUDIENCE).read()


def test_an_answer_without_a_token_is_an_error(cluster: FakeCluster) -> None:
    cluster.grant("/api/v1/namespaces/models/serviceaccounts/app/token", "", "soon")
    with pytest.raises((UnreachableError, InvalidRequestError), match="token"):
        service_account_token(KubernetesClient(), "app", NAMESPACE, AUDIENCE).read()
