"""Callers in front of a real Triton: each kind of token and certificate is admitted, and each forgery is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import grpc
import pytest
from cryptography import x509
from tritonclient.grpc import service_pb2

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client, infer_request
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer, encode
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    ProxyPolicy,
    TokenRule,
)

SIGNER = Signer("ES256", "key-1")
RSA = Signer("RS256", "key-2")
UNNAMED = Signer("ES256", "")
STRANGER = Signer("ES256", "key-1")
CLIENTS = Authority("clients")
STREAM_REFUSED = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.CANCELLED}
"""HAProxy resets a stream whose client has not finished sending; gRPC reports the reset instead of the response."""


def rule(*claims: Claim) -> TokenRule:
    return TokenRule("issuer", (AUDIENCE, "second audience"), claims)


CALLERS = (
    Caller("robot", token=rule(Claim("sub", "robot"))),
    Caller("pod", token=rule(Claim("sub", "pod"), Claim(r"kubernetes\.io.serviceaccount.uid", "uid-1"))),
    Caller("linear", token=rule(Claim("sub", "linear")), models=("linear_regression",)),
    Caller("slow", token=rule(Claim("sub", "slow")), requests_per_second=3),
    Caller("by-subject", certificate=CertificateRule(subject="CN=trainer")),
    Caller("by-name", certificate=CertificateRule(san="batch.example")),
    Caller("by-uri", certificate=CertificateRule(san="spiffe://example/ns/shop/sa/batch")),
)
POLICY = ProxyPolicy(
    callers=CALLERS,
    issuers=(Issuer("issuer", (SIGNER.public(), RSA.public(), UNNAMED.public()), ("revoked-1", "revoked-2")),),
    client_cas=CLIENTS.pem.decode(),
)


@pytest.fixture(scope="module")
def proxy(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with the callers of this file."""
    folder = tmp_path_factory.mktemp("proxy")
    with running_proxy(folder / "pod", triton, POLICY, authority.issue()) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def anyone(proxy: Proxy, authority: Authority) -> Client:
    """A client without credentials."""
    return Client(proxy.https, authority.pem)


def with_token(client: Client, token: str) -> Client:
    return Client(client.port, client.authority, token=token)


def code_of(client: Client, message: object = None) -> tuple[str, str]:
    """The code and the text of the response to an inference over gRPC; OK has no text."""
    try:
        client.call("ModelInfer", message or infer_request())
    except grpc.RpcError as error:
        return error.code().name, str(error.details())
    return "OK", ""


def test_a_request_without_credentials_is_refused_over_both_protocols(anyone: Client) -> None:
    answer = anyone.infer()
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.error.startswith("unauthenticated: send a token ")
    assert code_of(anyone) == ("UNAUTHENTICATED", answer.error)
    assert anyone.request("GET", "/v2/health/ready").status == 401
    assert anyone.request("GET", "/v2/logging").status == 401


@pytest.mark.parametrize(
    "token",
    [
        SIGNER.token,
        RSA.token,
        lambda: UNNAMED.token({"kid": None}),
        lambda: SIGNER.token(aud=AUDIENCE),
        lambda: SIGNER.token(aud=["other", "another", AUDIENCE]),
        lambda: SIGNER.token(aud="second audience"),
        lambda: SIGNER.token(nbf=None, jti=None),
        lambda: SIGNER.token(nbf=int(time.time()) + 20),
        lambda: SIGNER.token(exp=time.time() + 30.5),
        lambda: SIGNER.token(sub="pod", **{"kubernetes.io": {"serviceaccount": {"uid": "uid-1"}}}),
    ],
    ids=[
        "ES256",
        "RS256",
        "no-kid",
        "aud-text",
        "aud-third",
        "second-aud",
        "few-claims",
        "clock-skew",
        "float-exp",
        "nested-claim",
    ],
)
def test_a_token_of_a_caller_is_admitted(anyone: Client, token: Callable[[], str]) -> None:
    client = with_token(anyone, token())
    assert client.infer().status == 200
    assert code_of(client) == ("OK", "")


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: SIGNER.token(exp=int(time.time()) - 1), "UNAUTHENTICATED"),
    "no expiry": (lambda: SIGNER.token(exp=None), "UNAUTHENTICATED"),
    "expiry is text": (lambda: SIGNER.token(exp="never"), "UNAUTHENTICATED"),
    "expiry is huge": (lambda: SIGNER.token(exp=10**30), "UNAUTHENTICATED"),
    "not yet valid": (lambda: SIGNER.token(nbf=int(time.time()) + 3600), "UNAUTHENTICATED"),
    "revoked": (lambda: SIGNER.token(jti="revoked-2"), "UNAUTHENTICATED"),
    "other issuer": (lambda: SIGNER.token(iss="other"), "UNAUTHENTICATED"),
    "other key, same ID": (STRANGER.token, "UNAUTHENTICATED"),
    "unknown key ID": (lambda: SIGNER.token({"kid": "key-9"}), "UNAUTHENTICATED"),
    "no key ID": (lambda: SIGNER.token({"kid": None}), "UNAUTHENTICATED"),
    "alg none": (
        lambda: SIGNER.signed_part({"alg": "none", "kid": "key-1"}, {"iss": "issuer"}) + ".",
        "UNAUTHENTICATED",
    ),
    "alg none, signed": (lambda: SIGNER.token({"alg": "none"}), "UNAUTHENTICATED"),
    "HS256 with the public key": (lambda: SIGNER.with_shared_secret(SIGNER.token()), "UNAUTHENTICATED"),
    "HS256 with the RSA key": (lambda: RSA.with_shared_secret(RSA.token()), "UNAUTHENTICATED"),
    "other algorithm of the key": (lambda: RSA.token({"alg": "RS512"}), "UNAUTHENTICATED"),
    "tampered claims": (lambda: tampered(SIGNER.token(sub="nobody")), "UNAUTHENTICATED"),
    "no signature": (lambda: SIGNER.token().rpartition(".")[0], "UNAUTHENTICATED"),
    "empty signature": (lambda: SIGNER.token().rpartition(".")[0] + ".", "UNAUTHENTICATED"),
    "zero signature": (lambda: SIGNER.token().rpartition(".")[0] + "." + encode(bytes(64)), "UNAUTHENTICATED"),
    "a fourth part": (lambda: SIGNER.token() + ".x", "UNAUTHENTICATED"),
    "not a token": (lambda: "secret", "UNAUTHENTICATED"),
    "other audience": (lambda: SIGNER.token(aud=[AUDIENCE + "-2"]), "PERMISSION_DENIED"),
    "no audience": (lambda: SIGNER.token(aud=None), "PERMISSION_DENIED"),
    "audience inside an object": (lambda: SIGNER.token(aud=None, x={"aud": AUDIENCE}), "PERMISSION_DENIED"),
    "other subject": (lambda: SIGNER.token(sub="robot2"), "PERMISSION_DENIED"),
    "subject with a quote": (lambda: SIGNER.token(sub='x","sub":"robot'), "PERMISSION_DENIED"),
    "other claim": (
        lambda: SIGNER.token(sub="pod", **{"kubernetes.io": {"serviceaccount": {"uid": "uid-2"}}}),
        "PERMISSION_DENIED",
    ),
    "claim at another place": (lambda: SIGNER.token(sub="pod", uid="uid-1"), "PERMISSION_DENIED"),
}


def tampered(token: str) -> str:
    header, _, signature = token.split(".")
    return ".".join([header, SIGNER.token().split(".")[1], signature])


@pytest.mark.parametrize("name", REFUSED)
def test_a_forged_or_foreign_token_is_refused_over_both_protocols(anyone: Client, name: str) -> None:
    token, code = REFUSED[name]
    client = with_token(anyone, token())
    answer = client.infer()
    assert answer.status == {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}[code], answer
    assert code_of(client) == (code, answer.error)


@pytest.mark.parametrize("size", [1, 20_000, 3_000_000])
def test_a_refusal_arrives_although_the_body_is_large(anyone: Client, size: int) -> None:
    """The response comes after the body, because clients that are still sending do not read it."""
    answer = anyone.request("POST", "/v2/models/linear_regression/infer", "x" * size)
    assert answer.status == 401
    request = infer_request()
    request.parameters["padding"].string_param = "x" * size
    assert code_of(anyone, request) == ("UNAUTHENTICATED", answer.error)


def test_two_tokens_in_one_request_are_refused(anyone: Client) -> None:
    line = f"Authorization: Bearer {SIGNER.token()}\r\n"
    request = f"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{line}"
    assert anyone.raw(f"{request}\r\n".encode()).startswith(b"HTTP/1.1 200 ")
    assert anyone.raw(f"{request}{line}\r\n".encode()).startswith(b"HTTP/1.1 400 ")


def test_a_refusal_reveals_nothing_of_the_policy(anyone: Client) -> None:
    told = [anyone.infer().error, with_token(anyone, SIGNER.token(sub="x")).infer().error]
    told += [with_token(anyone, SIGNER.token(sub="linear")).infer("digits").error]
    for word in ("robot", "linear", "digits", "issuer", AUDIENCE, "key-1", "trainer"):
        assert [text for text in told if word in text] == []


@pytest.mark.parametrize(
    ("common_name", "names", "status"),
    [
        ("trainer", [], 200),
        ("other", [x509.DNSName("batch.example")], 200),
        ("other", [x509.DNSName("first.example"), x509.DNSName("batch.example")], 200),
        ("other", [x509.UniformResourceIdentifier("spiffe://example/ns/shop/sa/batch")], 200),
        ("other", [], 403),
        ("batch.example", [], 403),
        ("x:62617463682E6578616D706C65:", [], 403),
        ("other", [x509.DNSName("batch.example.org")], 403),
        ("other", [x509.DNSName("x.batch.example")], 403),
        ("other", [x509.RFC822Name("batch.example")], 403),
        ("trainer2", [], 403),
    ],
)
def test_a_certificate_admits_its_subject_and_names(
    anyone: Client, common_name: str, names: list[x509.GeneralName], status: int
) -> None:
    client = Client(anyone.port, anyone.authority, pair=CLIENTS.issue(common_name, names))
    assert client.infer().status == status
    assert code_of(client)[0] == {200: "OK", 403: "PERMISSION_DENIED"}[status]


@pytest.mark.parametrize("kind", ["other authority", "authority of serving certificates", "expired"])
def test_a_certificate_that_cannot_be_verified_is_refused(anyone: Client, authority: Authority, kind: str) -> None:
    """A deployment cannot use its own serving certificate as that of a caller."""
    issuers = {"other authority": Authority("clients"), "authority of serving certificates": authority}
    life = timedelta(hours=-1) if kind == "expired" else timedelta(hours=1)
    client = Client(anyone.port, anyone.authority, pair=issuers.get(kind, CLIENTS).issue("trainer", [], life=life))
    with pytest.raises(OSError, match=r"SSL|alert|reset|Broken|EOF"):
        client.infer()
    assert code_of(client)[0] == "UNAVAILABLE"


def test_a_caller_reaches_only_its_models_over_http(anyone: Client) -> None:
    client = with_token(anyone, SIGNER.token(sub="linear"))
    assert client.infer("linear_regression").status == 200
    for method, path in (
        ("POST", "/v2/models/digits/infer"),
        ("POST", "/v2/models/digits/versions/1/infer"),
        ("POST", "/v2/models/digits/generate"),
        ("GET", "/v2/models/digits"),
        ("GET", "/v2/models/digits/ready"),
        ("GET", "/v2/models/unknown"),
    ):
        answer = client.request(method, path, "{}" if method == "POST" else None)
        assert (answer.status, answer.error.split(":")[0]) == (403, "permission denied"), path
    assert client.request("GET", "/v2/health/ready").status == 200


def test_a_caller_reaches_only_its_models_over_grpc(anyone: Client) -> None:
    client = with_token(anyone, SIGNER.token(sub="linear"))
    assert code_of(client) == ("OK", "")
    code, text = code_of(client, infer_request("digits"))
    assert (code, text.split(":")[0]) == ("PERMISSION_DENIED", "permission denied")
    for method in ("ModelReady", "ModelMetadata"):
        request = getattr(service_pb2, f"{method}Request")
        client.call(method, request(name="linear_regression"))
        with pytest.raises(grpc.RpcError) as refused:
            client.call(method, request(name="digits"))
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def call_bytes(client: Client, method: str, content: bytes) -> str:
    with client.channel() as channel:
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}", None, None)
        try:
            call(content, metadata=client.metadata(), timeout=20)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady"])
def test_a_second_name_in_a_message_opens_nothing(anyone: Client, method: str) -> None:
    """Of several equal fields, protobuf takes the last."""
    permitted = infer_request().SerializeToString() if method == "ModelInfer" else b"\x0a\x11linear_regression"
    other = b"\x0a\x06digits"
    everybody = with_token(anyone, SIGNER.token())
    client = with_token(anyone, SIGNER.token(sub="linear"))
    if method == "ModelReady":
        assert call_bytes(everybody, method, permitted + other) == "OK", "Triton reads the last one"
    assert call_bytes(client, method, permitted) == "OK"
    padding = b"\x52" + b"\xc0\x84\x3d" + bytes(1_000_000)
    for hidden in (
        permitted + other,
        other + permitted,
        permitted + padding + other,
        permitted + b"\x8a\x80\x00\x06digits",
        permitted + b"\x8a\x80\x80\x80\x10\x06digits",
        padding,
        b"",
    ):
        assert call_bytes(client, method, hidden) == "PERMISSION_DENIED", hidden[-30:]


def test_each_message_of_a_stream_is_checked(anyone: Client) -> None:
    client = with_token(anyone, SIGNER.token(sub="linear"))

    def stream(*models: str) -> list[str]:
        with client.grpc() as stub:
            requests = iter([infer_request(model) for model in models])
            answers = stub.ModelStreamInfer(requests, metadata=client.metadata(), timeout=20)
            return [answer.infer_response.model_name for answer in answers]

    assert stream("linear_regression", "linear_regression") == ["linear_regression"] * 2
    with pytest.raises(grpc.RpcError):
        stream("linear_regression", "linear_regression", "digits")
    with pytest.raises(grpc.RpcError) as refused:
        stream("digits")
    assert refused.value.code() in STREAM_REFUSED


def test_a_caller_with_a_limit_is_slowed_down_and_others_are_not(anyone: Client) -> None:
    slow, fast = with_token(anyone, SIGNER.token(sub="slow")), with_token(anyone, SIGNER.token())
    answers = [slow.request("GET", "/v2/health/live") for _ in range(12)]
    assert {answer.status for answer in answers} == {200, 429}
    assert answers[0].status == 200
    (refused, *_) = (answer for answer in answers if answer.status == 429)
    assert (refused.headers["retry-after"], refused.error.split(":")[0]) == ("1", "too many requests")
    assert code_of(slow)[0] == "RESOURCE_EXHAUSTED"
    assert {fast.request("GET", "/v2/health/live").status for _ in range(12)} == {200}
    wait_until(lambda: slow.infer().status == 200)


def test_a_caller_with_a_limit_cannot_open_streams(anyone: Client) -> None:
    client = with_token(anyone, SIGNER.token(sub="slow"))

    def tries_after_a_pause() -> bool:
        time.sleep(2.1)  # The limit is per second, and the previous test has used it up.
        return client.infer().status == 200

    wait_until(tries_after_a_pause)
    with client.grpc() as stub, pytest.raises(grpc.RpcError) as refused:
        list(stub.ModelStreamInfer(iter([infer_request()]), metadata=client.metadata(), timeout=20))
    assert refused.value.code() in STREAM_REFUSED


def test_a_removed_caller_is_refused_and_an_added_one_admitted(
    proxy: Proxy, anyone: Client, measured: Callable[[str], None]
) -> None:
    new = Caller("new", token=rule(Claim("sub", "new")))
    client = with_token(anyone, SIGNER.token(sub="new"))
    assert client.infer().status == 403
    try:
        started = time.monotonic()
        proxy.set_policy(replace_callers(POLICY, (*CALLERS, new)))
        wait_until(lambda: client.infer().status == 200)
        measured(f"an added caller is admitted after {time.monotonic() - started:.1f} s")
        started = time.monotonic()
        proxy.set_policy(POLICY)
        wait_until(lambda: client.infer().status == 403)
        measured(f"a removed caller is refused after {time.monotonic() - started:.1f} s")
    finally:
        proxy.set_policy(POLICY)


def replace_callers(policy: ProxyPolicy, callers: tuple[Caller, ...]) -> ProxyPolicy:
    return ProxyPolicy(callers=callers, issuers=policy.issuers, client_cas=policy.client_cas)
