"""The Secrets that are reserved for the operator, `prepare`, `proxy` or the kubelet, and the check of a reference.

Pure. `spec.env`, `spec.envFrom` and `spec.podTemplate` follow the same rule: models and added containers can send what
they read to clients, or write it to their log. The names come from the spec and not from the rendered pod, because a
cache Job mounts some of these Secrets instead of the pod. The CRD has the rule for the fixed names.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.environment import EnvFromSource, EnvVar
from triton_operator.api.errors import Problem
from triton_operator.api.names import AUTHORITY_SECRET, SERVING_SECRET
from triton_operator.api.spec import Metadata, ModelDeployment, Spec
from triton_operator.resources.proxy_container import certificate_secret

FIXED = (AUTHORITY_SECRET, SERVING_SECRET)
"""Secrets of the operator. Their names do not depend on the spec."""


def own_secrets(spec: Spec, name: str) -> frozenset[str]:
    """The names of these Secrets for the object with this name."""
    certificate = certificate_secret(ModelDeployment(Metadata(name, namespace=""), spec))
    return frozenset({*FIXED, certificate, *_of_spec(spec)})


def _of_spec(spec: Spec) -> Iterator[str]:
    """Credentials of repositories, registries and the HTTP proxy, and the keys that decrypt models."""
    for repository in (spec.model_repository, *(model.model_repository for model in spec.models)):
        if repository and repository.credentials_secret_ref:
            yield repository.credentials_secret_ref.name
    if spec.prepare.http_proxy and spec.prepare.http_proxy.credentials_secret_ref:
        yield spec.prepare.http_proxy.credentials_secret_ref.name
    for secret in spec.image_pull_secrets:
        yield secret.name
    if spec.decryption and spec.decryption.secret_ref:
        yield spec.decryption.secret_ref.name


def check_variable(variable: EnvVar, path: str, own: frozenset[str]) -> Iterator[Problem]:
    """The Secret from which an environment variable gets its value."""
    if variable.value_from and (key := variable.value_from.secret_key_ref):
        yield from check_secret(key.name, f"{path}.valueFrom.secretKeyRef.name", own)


def check_variables_from(source: EnvFromSource, path: str, own: frozenset[str]) -> Iterator[Problem]:
    """The Secret, all keys of which become environment variables."""
    if source.secret_ref:
        yield from check_secret(source.secret_ref.name, f"{path}.secretRef.name", own)


def check_secret(name: str, path: str, own: frozenset[str]) -> Iterator[Problem]:
    """A reference to a Secret; `own` are the reserved ones."""
    if name in own:
        reserved = "that are reserved for the operator, prepare, proxy or the kubelet"
        yield Problem(path, f"Secret {name} contains keys or credentials {reserved}")
