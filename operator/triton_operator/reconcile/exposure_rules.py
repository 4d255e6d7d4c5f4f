"""Checks of `spec.exposure` that the CRD also has: what would send requests elsewhere, or open more than inference.

Pure. Input: a spec. Output: Problems. The controller carries out the annotations of an Ingress with its own rights and
for all namespaces, so annotations that contain configuration or code are rejected under every profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.exposure import Exposure, Gateway, Ingress
from triton_operator.api.privacy import TLSMode
from triton_operator.api.spec import Spec
from triton_operator.resources.own_secrets import check_secret, own_secrets
from triton_operator.resources.tls import tls_mode

HOST = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*[.][a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
"""A name with at least two labels. No IP address matches, and no wildcard, which would take the names of others."""
INSIDE = r"[.](svc|svc[.].+|cluster[.]local)$"
"""Names of Services, for which nothing outside the cluster has an address."""
INJECTED = (
    r"(snippets?|-lua|modsecurity-.*|config-(backend|defaults|frontend|global|proxy|sections|tcp|tcp-service)|"
    r"(backend|frontend|global)-config)$"
)
"""Ends of annotation keys whose values become configuration or code of the controller."""
OTHER_HOSTS = r"/(server-alias|server-aliases|hostname)$"
"""Ends of keys that add host names, which are not checked."""
RESERVED = r"^(kubernetes[.]io/ingress[.]class|([^/]+[.])?triton-operator[.]io/.*|ingressclass[.]kubernetes[.]io/.*)$"
DIVERTING = (
    r"/(mirror-.*|request-mirror|auth-(url|signin)|oauth|rewrites?|rewrite-target|path-rewrite|use-regex|app-root|"
    r"(permanent|temporal|request)-redirect|default-backend|router[.]middlewares|actions[.].*)$"
)
"""Ends of keys that send clients or requests, with tensors and tokens, to another server or path."""
PLAINTEXT = r"/(force-)?ssl-redirect$"

_HOST = "must be a DNS name such as digits.example.com, with at least two labels and without a wildcard; got {!r}"
_INSIDE = "{} is a name inside the cluster; choose a name that leads to the controller"
_INJECTED = "becomes configuration or code of the controller, which serves other namespaces too; remove it"
_OTHER_HOSTS = "adds a host name that is not checked; use spec.exposure.ingress.host"
_RESERVED = "is reserved for Kubernetes and the operator; the class is spec.exposure.ingress.className"
_DIVERTING = "sends requests to another server or path; only the profile Open allows it"
_PLAINTEXT = "must not be false: tokens would be sent without TLS; only the profile Open allows it"
_NO_BUNDLE = (
    "is required with the TLS mode {}, because the gateway verifies the certificate of the pods, and the operator does "
    "not know its authority; name a ConfigMap with the authority in the key ca.crt"
)
_NEEDLESS_BUNDLE = "has no effect with the TLS mode {}; remove it"
_TLS = "is required, because only the profile Open allows clients without TLS; {} uses the controller's certificate"


def check_exposure(spec: Spec, name: str) -> None:
    """Raise InvalidSpecError with everything that is wrong; `name` is that of the object."""
    if spec.exposure is None:
        return
    if problems := list(_problems(spec, spec.exposure, name)):
        raise InvalidSpecError.of(problems)


def _problems(spec: Spec, exposure: Exposure, name: str) -> Iterator[Problem]:
    if (exposure.ingress is None) == (exposure.gateway is None):
        yield Problem("spec.exposure", "set exactly one of ingress and gateway, or remove the field")
    if exposure.ingress:
        yield from _of_ingress(spec, exposure.ingress, name)
    if exposure.gateway:
        yield from _of_gateway(spec, exposure.gateway)


def _of_gateway(spec: Spec, gateway: Gateway) -> Iterator[Problem]:
    path, mode = "spec.exposure.gateway", tls_mode(spec)
    if not gateway.parent_refs:
        yield Problem(f"{path}.parentRefs", "must name at least one Gateway")
    if not gateway.hostnames:
        yield Problem(f"{path}.hostnames", "must contain at least one name, because others use the Gateway too")
    for index, hostname in enumerate(gateway.hostnames):
        yield from _of_host(hostname, f"{path}.hostnames[{index}]")
    has_own = mode in {TLSMode.SECRET, TLSMode.CERT_MANAGER}
    if has_own and gateway.ca_bundle_config_map_ref is None:
        yield Problem(f"{path}.caBundleConfigMapRef", _NO_BUNDLE.format(mode))
    if not has_own and gateway.ca_bundle_config_map_ref:
        yield Problem(f"{path}.caBundleConfigMapRef", _NEEDLESS_BUNDLE.format(mode))


def _of_ingress(spec: Spec, ingress: Ingress, name: str) -> Iterator[Problem]:
    path, private = "spec.exposure.ingress", spec.privacy.profile.is_private
    yield from _of_host(ingress.host, f"{path}.host")
    if private and ingress.tls is None:
        yield Problem(f"{path}.tls", _TLS.format("{}"))
    if ingress.tls and ingress.tls.secret_name:
        own = own_secrets(spec, name) - _of_user(spec)
        yield from check_secret(ingress.tls.secret_name, f"{path}.tls.secretName", own)
    yield from _of_annotations(ingress.annotations, f"{path}.annotations", private=private)
    yield from _of_annotations(ingress.grpc_annotations, f"{path}.grpcAnnotations", private=private)


def _of_host(host: str, path: str) -> Iterator[Problem]:
    if not re.fullmatch(HOST, host):
        yield Problem(path, _HOST.format(host))
    elif re.search(INSIDE, host):
        yield Problem(path, _INSIDE.format(host))


def _of_user(spec: Spec) -> frozenset[str]:
    """The certificate of TLS mode Secret may also be that of the Ingress."""
    return frozenset({spec.privacy.tls.secret_ref.name} if spec.privacy.tls.secret_ref else ())


def _of_annotations(annotations: dict[str, str], path: str, *, private: bool) -> Iterator[Problem]:
    for key, value in annotations.items():
        if message := _why_rejected(key, value, private=private):
            yield Problem(f"{path}[{key}]", message)


def _why_rejected(key: str, value: str, *, private: bool) -> str:
    if re.search(INJECTED, key):
        return _INJECTED
    if re.search(OTHER_HOSTS, key):
        return _OTHER_HOSTS
    if re.search(RESERVED, key):
        return _RESERVED
    if private and re.search(DIVERTING, key):
        return _DIVERTING
    if private and re.search(PLAINTEXT, key) and value.lower() not in {"true", "on", "1"}:
        return _PLAINTEXT
    return ""
