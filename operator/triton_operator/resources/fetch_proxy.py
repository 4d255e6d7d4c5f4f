"""The HTTP proxy of the containers that fetch models: the request to `prepare`, its Secret, and where they connect to.

Pure. Input: a spec, to which `fetch_defaults` has added the proxy of the installation. Only `prepare` mounts the
Secret, and reads user name and password from files, so they are neither in its arguments nor in its environment.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.errors import Problem
from triton_operator.api.http_proxy import HttpProxy, is_direct
from triton_operator.api.privacy import Profile
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.triton.prepare_contract.request import FetchProxy

CREDENTIALS_DIR = "/http-proxy-credentials"
AIR_GAPPED = "must not be set, because a proxy connects to servers outside"
_VOLUME = "http-proxy-credentials"
_AMAZON = "https://s3.amazonaws.com"
_FIELD = "spec.prepare.httpProxy"


def used_proxy(spec: Spec) -> HttpProxy | None:
    """The proxy with an address; None if servers are reached directly."""
    proxy = spec.prepare.http_proxy
    return proxy if proxy and proxy.url else None


def fetch_proxy(spec: Spec) -> FetchProxy | None:
    """The part of the request to `prepare`."""
    proxy = used_proxy(spec)
    if proxy is None:
        return None
    return FetchProxy(proxy.url, proxy.no_proxy, CREDENTIALS_DIR if proxy.credentials_secret_ref else "")


def proxy_credentials_volumes(spec: Spec) -> list[Manifest]:
    """The volume with the proxy's Secret, if there is one."""
    proxy = used_proxy(spec)
    secret = proxy.credentials_secret_ref if proxy else None
    return [{"name": _VOLUME, "secret": {"secretName": secret.name}}] if secret else []


def proxy_credentials_mounts(spec: Spec) -> list[Manifest]:
    """The mount of this volume in `prepare`."""
    mount = {"name": _VOLUME, "mountPath": CREDENTIALS_DIR, "readOnly": True}
    return [mount] if proxy_credentials_volumes(spec) else []


def is_proxied(spec: Spec, repository: ModelRepository) -> bool:
    """Whether a fetched repository is reached through the proxy."""
    proxy = used_proxy(spec)
    return proxy is not None and not is_direct(url_of(repository), proxy.no_proxy)


def server_to_fetch_from(spec: Spec, repository: ModelRepository) -> str:
    """The URL to which the container connects: that of the repository's server, or the proxy."""
    proxy = used_proxy(spec)
    return proxy.url if proxy and is_proxied(spec, repository) else url_of(repository)


def url_of(repository: ModelRepository) -> str:
    """The URL of the server of a fetched repository; Amazon S3 uses HTTPS."""
    if repository.http:
        return repository.http.url
    return (repository.s3 and repository.s3.endpoint) or _AMAZON


def find_proxy_problems(spec: Spec, *, fetches: bool) -> Iterator[Problem]:
    """What is wrong with `spec.prepare.httpProxy`; `fetches`: a repository of the object is S3 or HTTP."""
    proxy = spec.prepare.http_proxy
    if proxy is None:
        return
    if not fetches:
        yield Problem(_FIELD, "has no effect, because no repository is s3 or http; remove it")
    if "@" in proxy.url:
        message = "must not contain credentials; put username and password into a Secret, and set credentialsSecretRef"
        yield Problem(f"{_FIELD}.url", message)
    if proxy.credentials_secret_ref and not proxy.url:
        yield Problem(f"{_FIELD}.credentialsSecretRef", "has no effect without url; remove it")
    if proxy.url and spec.privacy.profile is Profile.AIR_GAPPED:
        yield Problem(f"{_FIELD}.url", f"{AIR_GAPPED}; the profile AirGapped does not allow it")
