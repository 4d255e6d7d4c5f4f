"""Credentials at unusual places and in unusual forms, next to `test_callers`: only one clear token admits a caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.http2 import connected, grpc_headers, request_headers
from tests.proxy.recorded import Recorded
from tests.proxy.recording_backend import recording_backend
from tests.proxy.running_proxy import running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer, encode
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy, TokenRule

LIVE = "/v2/health/live"
CALL = "/inference.GRPCInferenceService/ServerReady"
SIGNER = Signer("ES256", "key-1")
OTHER = Signer("ES256", "key-2")
RSA = Signer("RS256", "key-3")
POLICY = ProxyPolicy(
    callers=(
        Caller("robot", token=TokenRule("issuer", (AUDIENCE,), (Claim("sub", "robot"),))),
        Caller("last", token=TokenRule("other", (AUDIENCE,), (Claim("sub", "last"),))),
    ),
    issuers=(
        Issuer("issuer", (SIGNER.public(), RSA.public()), ("revoked",)),
        Issuer("other", (OTHER.public(),)),
    ),
)


def admitted() -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {OTHER.token(iss='other', sub='last')}")]


@pytest.fixture(scope="module")
def admitting(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A proxy that admits two callers, in front of a recording backend."""
    folder = tmp_path_factory.mktemp("admitting")
    with (
        recording_backend() as (ports, record),
        running_proxy(folder / "pod", ports, POLICY, authority.issue()) as proxy,
    ):
        yield Recorded(Client(proxy.https, authority.pem), record, admitted)


def statuses(recorded: Recorded, *headers: tuple[str, str]) -> tuple[str, str]:
    """The status over HTTP/2, and that of gRPC or else of HTTP."""
    with connected(recorded.client) as connection:
        over_http = connection.request(request_headers(LIVE, *headers))
        over_grpc = connection.request(grpc_headers(CALL, *headers), b"\0\0\0\0\0")
    return over_http.status, over_grpc.headers.get("grpc-status", over_grpc.status)


REFUSED: dict[str, Callable[[], str]] = {
    "key ID of another issuer's key": lambda: OTHER.token(iss="issuer"),
    "key of another issuer": lambda: OTHER.token({"kid": "key-1"}, iss="issuer"),
    "key ID of another key of the issuer": lambda: SIGNER.token({"kid": "key-3"}),
    "other issuer's token for this caller": lambda: OTHER.token(iss="other", sub="robot"),
    "issuer in a list": lambda: SIGNER.token(iss=["issuer"]),
    "issuer with a space": lambda: SIGNER.token(iss="issuer "),
    "issuer in upper case": lambda: SIGNER.token(iss="ISSUER"),
    "issuer is a number": lambda: SIGNER.token(iss=0),
    "key ID with a path": lambda: SIGNER.token({"kid": "../../../../dev/null"}),
    "key ID that is a path": lambda: SIGNER.token({"kid": "/etc/hostname"}),
    "key ID with a quote": lambda: SIGNER.token({"kid": "key-1' or '1"}),
    "key ID with a NUL": lambda: SIGNER.token({"kid": "key-1\0"}),
    "key ID with a line feed": lambda: SIGNER.token({"kid": "key-1\nkey-1"}),
    "key ID in a list": lambda: SIGNER.token({"kid": ["key-1"]}),
    "empty key ID": lambda: SIGNER.token({"kid": ""}),
    "critical extension": lambda: SIGNER.token({"crit": ["exp"]}),
    "unencoded payload": lambda: SIGNER.token({"crit": ["b64"], "b64": False}),
    "no algorithm": lambda: SIGNER.token({"alg": None}),
    "empty algorithm": lambda: SIGNER.token({"alg": ""}),
    "None": lambda: SIGNER.token({"alg": "None"}),
    "nOnE without a signature": lambda: SIGNER.token({"alg": "nOnE"}).rpartition(".")[0] + ".",
    "algorithm in lower case": lambda: SIGNER.token({"alg": "es256"}),
    "algorithm of another size": lambda: SIGNER.token({"alg": "ES384"}),
    "RSA key as the secret": lambda: RSA.with_shared_secret(RSA.token()),
    "algorithm of the other key": lambda: SIGNER.token({"alg": "RS256"}),
    "key in the header": lambda: Signer("ES256", "key-1").token({"jwk": {"kty": "EC", "crv": "P-256"}}),
    "key at an address": lambda: Signer("ES256", "key-1").token({"jku": "https://attacker.example/keys"}),
    "signature of another token": lambda: ".".join(
        [SIGNER.token(exp=int(time.time()) + 3600).rpartition(".")[0], SIGNER.token().rpartition(".")[2]]
    ),
    "signature in DER": lambda: SIGNER.token().rpartition(".")[0] + "." + encode(bytes([0x30, 6, 2, 1, 1, 2, 1, 1])),
    "signature with more bytes": lambda: SIGNER.token() + "AAAA",
    "signature cut": lambda: SIGNER.token()[:-4],
    "five parts": lambda: SIGNER.token() + ".e30.e30",
    "no header": lambda: "." + SIGNER.token().partition(".")[2],
    "no claims": lambda: SIGNER.token().split(".")[0] + ".." + SIGNER.token().split(".")[2],
    "spaces inside": lambda: SIGNER.token().replace(".", " . "),
    "a comma and another token": lambda: SIGNER.token(sub="x") + ", Bearer " + SIGNER.token(),
    "expired long ago": lambda: SIGNER.token(exp=1),
    "expires before the epoch": lambda: SIGNER.token(exp=-1),
    "expires at a truth": lambda: SIGNER.token(exp=True),
    "expires in a list": lambda: SIGNER.token(exp=[int(time.time()) + 60]),
    "expires at a number of 64 bits": lambda: SIGNER.token(exp=2**64 + 60),
    "not yet valid": lambda: SIGNER.token(nbf=int(time.time()) + 600),
    "revoked": lambda: SIGNER.token(jti="revoked"),
    "audience with a space": lambda: SIGNER.token(aud=AUDIENCE + " "),
    "audience in a list in a list": lambda: SIGNER.token(aud=[[AUDIENCE]]),
    "audience as a name": lambda: SIGNER.token(aud={AUDIENCE: True}),
    "part of an audience": lambda: SIGNER.token(aud=AUDIENCE[:-1]),
    "subject in a list": lambda: SIGNER.token(sub=["robot"]),
    "subject with a NUL": lambda: SIGNER.token(sub="robot\0x"),
    "subject in upper case": lambda: SIGNER.token(sub="Robot"),
    "claims within a claim": lambda: SIGNER.token(sub="x", act={"sub": "robot"}),
    "huge": lambda: SIGNER.token(padding="x" * 40_000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_forged_token_is_refused_and_nothing_arrives(admitting: Recorded, name: str) -> None:
    assert statuses(admitting, ("authorization", f"Bearer {SIGNER.token()}")) == ("200", "0")
    assert [each.path for each in admitting.arrived()] == [LIVE, CALL]
    over_http, over_grpc = statuses(admitting, ("authorization", f"Bearer {REFUSED[name]()}"))
    assert over_http in {"400", "401", "403", "refused"}
    assert over_grpc in {"7", "16", "400", "refused"}
    assert admitting.arrived() == []


PLACES: dict[str, list[tuple[str, str]]] = {
    "cookie": [("cookie", "token={0}; Authorization=Bearer {0}")],
    "other header": [("x-access-token", "{0}"), ("x-authorization", "Bearer {0}")],
    "of a proxy": [("proxy-authorization", "Bearer {0}")],
    "Basic": [("authorization", "Basic {0}")],
    "no scheme": [("authorization", "{0}")],
    "other scheme": [("authorization", "Bearerx {0}")],
    "Negotiate": [("authorization", "Negotiate {0}")],
    "a scheme before it": [("authorization", "Basic x Bearer {0}")],
    "name with an underscore": [("authorization_", "Bearer {0}")],
    "two tokens": [("authorization", "Bearer x"), ("authorization", "Bearer {0}")],
    "the same token twice": [("authorization", "Bearer {0}"), ("authorization", "Bearer {0}")],
    "metadata of gRPC": [("grpc-authorization", "Bearer {0}"), ("authorization-bin", "{0}")],
}


@pytest.mark.parametrize("headers", PLACES.values(), ids=PLACES)
def test_a_token_at_another_place_is_not_read(admitting: Recorded, headers: list[tuple[str, str]]) -> None:
    sent = [(name, value.format(SIGNER.token())) for name, value in headers]
    over_http, over_grpc = statuses(admitting, *sent)
    assert over_http in {"400", "401"}
    assert over_grpc in {"3", "16"}
    assert admitting.arrived() == []


@pytest.mark.parametrize("query", ["access_token={0}", "token={0}", "authorization=Bearer%20{0}"])
def test_a_token_in_the_query_is_not_read(admitting: Recorded, query: str) -> None:
    answer = admitting.client.request("GET", f"{LIVE}?{query.format(SIGNER.token())}")
    assert answer.status == 401
    assert admitting.arrived() == []


def test_a_token_is_for_one_request_of_a_connection(admitting: Recorded) -> None:
    """A later request without a token is refused, also over a connection that was admitted before."""
    token = ("authorization", f"Bearer {SIGNER.token()}")
    with connected(admitting.client) as connection:
        found = [
            connection.request(request_headers(LIVE, *more)).headers[":status"]
            for more in ([], [token], [], [("authorization", "Bearer x")], [token])
        ]
    assert found == ["401", "200", "401", "401", "200"]
    assert [each.path for each in admitting.arrived()] == [LIVE, LIVE]


def test_a_remembered_token_is_refused_when_it_expires(admitting: Recorded) -> None:
    token = ("authorization", f"Bearer {SIGNER.token(exp=int(time.time()) + 3)}")
    assert statuses(admitting, token) == ("200", "0")
    wait_until(lambda: statuses(admitting, token) == ("401", "16"))
    admitting.arrived()


@pytest.mark.parametrize("change", ["signature", "claims", "header"])
def test_a_remembered_token_admits_no_similar_one(admitting: Recorded, change: str) -> None:
    token = SIGNER.token()
    parts = dict(zip(("header", "claims", "signature"), token.split("."), strict=True))
    parts[change] = ("A" if parts[change][0] != "A" else "B") + parts[change][1:]
    assert statuses(admitting, ("authorization", f"Bearer {token}")) == ("200", "0")
    assert [each.path for each in admitting.arrived()] == [LIVE, CALL]
    assert statuses(admitting, ("authorization", f"Bearer {'.'.join(parts.values())}")) == ("401", "16")
    assert admitting.arrived() == []
