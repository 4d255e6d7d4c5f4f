"""Which model repositories a real API server accepts and rejects, and which field the error names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, changed, create, deployment

DIGEST = "sha256:" + "0" * 64
BUCKET: dict[str, Any] = {"bucket": "models"}
ARCHIVE: dict[str, Any] = {"url": "https://example.com/models.tar.gz"}


def fetched(profile: str | None = "Open", **repository: Any) -> dict[str, Any]:
    """Return a spec with this common repository."""
    spec: dict[str, Any] = {"modelRepository": repository, "models": [{"name": "digits"}]}
    return spec if profile is None else spec | {"privacy": {"profile": profile}}


def own(repository: dict[str, Any]) -> dict[str, Any]:
    """Return a spec whose model has its own repository."""
    return changed(MINIMAL, "models.0.modelRepository", repository)


def proxied(base: dict[str, Any] | None = None, **proxy: Any) -> dict[str, Any]:
    """Return a spec with an HTTP proxy for downloads."""
    return (base or fetched(http=ARCHIVE)) | {
        "prepare": {"httpProxy": {"url": "http://proxy.example.com:3128"} | proxy}
    }


# The spec, the field that the server names, and words of the reason.
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a model's own repository is empty": (own({}), "models[0].modelRepository", "exactly one of"),
    "one model without a repository": (
        {"models": [{"name": "a", "modelRepository": {"pvc": {"claimName": "models"}}}, {"name": "b"}]},
        "modelRepository",
        "unless every model has a modelRepository of its own",
    ),
    "a model's own path leaves the repository": (
        own({"pvc": {"claimName": "models", "path": "/../x"}}),
        "models[0].modelRepository.pvc.path",
        "no '..'",
    ),
    "proxy with a password": (
        proxied(url="http://me:secret@proxy.example.com"),
        "prepare.httpProxy.url",
        "must not contain credentials",
    ),
    "proxy of another scheme": (
        proxied(url="socks5://proxy.example.com"),
        "prepare.httpProxy.url",
        "must be http://HOST:PORT",
    ),
    "proxy for an image": (proxied(MINIMAL), "prepare.httpProxy", "has no effect"),
    "Secret without a proxy": (
        proxied(url="", credentialsSecretRef={"name": "proxy"}),
        "prepare.httpProxy.credentialsSecretRef",
        "has no effect without url",
    ),
    "list of servers in one text": (proxied(noProxy=["a.example,b.example"]), "prepare.httpProxy.noProxy[0]", "match"),
    "proxy under AirGapped": (
        proxied(
            fetched(http=ARCHIVE, profile="AirGapped")
            | {"cache": {"size": "1Gi", "egress": {"cidrs": ["10.0.0.0/8"]}}}
            | {"verification": {"keys": [{"name": "a", "configMapRef": {"name": "a", "key": "a.pub"}}]}}
        ),
        "prepare.httpProxy.url",
        "a proxy connects to servers outside",
    ),
    "s3 under Private": (fetched(s3=BUCKET, profile="Private"), "modelRepository", "require spec.cache"),
    "http without a profile": (
        fetched(http=ARCHIVE, profile=None),
        "modelRepository",
        "require spec.cache",
    ),
    "a model's own s3 under Private": (
        own({"s3": BUCKET}),
        "models",
        "require spec.cache",
    ),
    "s3 and http at once": (fetched(s3=BUCKET, http=ARCHIVE), "modelRepository", "exactly one of"),
    "s3 without a bucket": (fetched(s3={"prefix": "a"}), "modelRepository.s3.bucket", "Required value"),
    "bucket in capitals": (fetched(s3={"bucket": "Models"}), "modelRepository.s3.bucket", "match"),
    "bucket of two letters": (fetched(s3={"bucket": "ab"}), "modelRepository.s3.bucket", "at least 3 chars"),
    "prefix with a slash before it": (
        fetched(s3=BUCKET | {"prefix": "/a"}),
        "modelRepository.s3.prefix",
        "no slash at either end",
    ),
    "prefix leaves the repository": (fetched(s3=BUCKET | {"prefix": "a/../b"}), "modelRepository.s3.prefix", "no '..'"),
    "endpoint without a scheme": (
        fetched(s3=BUCKET | {"endpoint": "s3.example.com"}),
        "modelRepository.s3.endpoint",
        "must begin with https://",
    ),
    "endpoint with a password": (
        fetched(s3=BUCKET | {"endpoint": "https://key:secret@s3.example.com"}),
        "modelRepository.s3.endpoint",
        "must not contain a user or password",
    ),
    "endpoint with a path": (
        fetched(s3=BUCKET | {"endpoint": "https://s3.example.com/models"}),
        "modelRepository.s3.endpoint",
        "without a path",
    ),
    "region with a space": (fetched(s3=BUCKET | {"region": "eu west"}), "modelRepository.s3.region", "match"),
    "http without a url": (fetched(http={}), "modelRepository.http.url", "Required value"),
    "url of another scheme": (
        fetched(http={"url": "ftp://example.com/models.tar"}),
        "modelRepository.http.url",
        "must begin with https://",
    ),
    "url of a file": (fetched(http={"url": "file:///etc/passwd"}), "modelRepository.http.url", "must begin with"),
    "url with a password": (
        fetched(http={"url": "https://me:secret@example.com/models.tar"}),
        "modelRepository.http.url",
        "must not contain a user or password",
    ),
    "url with a space": (
        fetched(http={"url": "https://example.com/my models.tar"}),
        "modelRepository.http.url",
        "without spaces",
    ),
    "url without a path": (fetched(http={"url": "https://example.com"}), "modelRepository.http.url", "and a path"),
    "http:// without a checksum": (
        fetched(http={"url": "http://example.com/models.tar"}),
        "modelRepository.http.sha256",
        "required with http://",
    ),
    "checksum with its kind before it": (
        fetched(http=ARCHIVE | {"sha256": DIGEST}),
        "modelRepository.http.sha256",
        "Too long",
    ),
    "checksum in capitals": (
        fetched(http=ARCHIVE | {"sha256": "A" * 64}),
        "modelRepository.http.sha256",
        "match",
    ),
    "password over http://": (
        fetched(
            http={"url": "http://example.com/models.tar", "sha256": "a" * 64}, credentialsSecretRef={"name": "reader"}
        ),
        "modelRepository.credentialsSecretRef",
        "unencrypted",
    ),
    "credentials for an image": (
        fetched(image={"reference": "models:v1"}, credentialsSecretRef={"name": "reader"}),
        "modelRepository.credentialsSecretRef",
        "imagePullSecrets",
    ),
    "certificates for a claim": (
        fetched(pvc={"claimName": "models"}, caBundleConfigMapRef={"name": "company-ca"}),
        "modelRepository.caBundleConfigMapRef",
        "belongs to s3 and http",
    ),
    "certificates for http://": (
        fetched(s3=BUCKET | {"endpoint": "http://s3.example.com"}, caBundleConfigMapRef={"name": "company-ca"}),
        "modelRepository.caBundleConfigMapRef",
        "would have no effect",
    ),
    "certificates under an odd key": (
        fetched(s3=BUCKET, caBundleConfigMapRef={"name": "company-ca", "key": "a/b"}),
        "modelRepository.caBundleConfigMapRef.key",
        "match",
    ),
    "credentials without a name": (
        fetched(s3=BUCKET, credentialsSecretRef={}),
        "modelRepository.credentialsSecretRef.name",
        "Required value",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_repository_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    """The error names the invalid field, and not one of its parents."""
    spec, field, words = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert refused.value.code == 422, refused.value
    assert words in refused.value.fields.get(f"spec.{field}", ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


@pytest.mark.parametrize(
    "repository",
    [
        {"s3": BUCKET},
        {"s3": BUCKET | {"endpoint": "http://minio.storage.svc:9000/"}, "credentialsSecretRef": {"name": "reader"}},
        {
            "s3": BUCKET | {"endpoint": "https://[fd00::1]:9000", "region": "eu-central-1", "prefix": "a b/模型/v1.2"},
            "caBundleConfigMapRef": {"name": "company-ca", "key": "bundle.pem"},
        },
        {"http": ARCHIVE, "credentialsSecretRef": {"name": "reader"}},
        {"http": {"url": "https://example.com:8443/a%20b/v1?X-Sig=a%2Fb&c=@", "sha256": "a" * 64}},
        {"http": {"url": "http://files/models.zip", "sha256": "0" * 64}},
    ],
)
def test_repository_that_is_fetched_is_accepted_and_kept(api: Api, namespace: str, repository: dict[str, Any]) -> None:
    """As the common repository, and as a model's own."""
    spec = fetched(**repository) | {"replicas": 1}
    assert create(api, namespace, deployment(spec))["spec"] == spec
    alone = {key: value for key, value in spec.items() if key != "modelRepository"}
    alone["models"] = [{"name": "digits", "modelRepository": repository}]
    assert create(api, namespace, deployment(alone, name="own"))["spec"] == alone
