"""The user's settings of all pods: their ServiceAccount, names of hosts, and when images are pulled.

Pure; `isolation` and the builders of containers use them. A NetworkPolicy applies to addresses, so names that lead to
other addresses open no connections. Output: fields of a PodSpec and of containers, and Problems of the spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from triton_operator.api.errors import Problem
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.pod_metadata import RESERVED, RESERVED_MESSAGE

_OURS = "{} is the account that the operator creates and deletes with the object; name another one, or remove the field"
_NOT_OURS = "belong to the account that the operator creates; annotate the account {} itself, or remove one of both"


def account_name(deployment: ModelDeployment) -> str:
    """The pods' ServiceAccount: that of the user, or the one that the operator creates with the deployment's name."""
    return deployment.spec.service_account.name or deployment.metadata.name


def host_fields(spec: Spec) -> Manifest:
    """`dnsConfig` and `hostAliases` of a PodSpec, if the user sets them."""
    resolver: Manifest = msgspec.to_builtins(spec.dns_config) if spec.dns_config else {}
    fields: Manifest = {
        "dnsConfig": {name: list(values) for name, values in resolver.items()},
        "hostAliases": [{"ip": alias.ip, "hostnames": list(alias.hostnames)} for alias in spec.host_aliases],
    }
    return {key: value for key, value in fields.items() if value}


def pull_policy(spec: Spec) -> Manifest:
    """`imagePullPolicy` of a container, if the user sets it."""
    return {"imagePullPolicy": spec.image_pull_policy.value} if spec.image_pull_policy else {}


def find_account_problems(spec: Spec, name: str) -> Iterator[Problem]:
    """The account of the operator itself, and annotations that would have no effect, or that only Kubernetes may set.

    `name` is that of the object.
    """
    account = spec.service_account
    if account.name and account.name == name:
        yield Problem("spec.serviceAccount.name", _OURS.format(name))
    if account.name and account.annotations:
        yield Problem("spec.serviceAccount.annotations", _NOT_OURS.format(account.name))
    for key in account.annotations:
        if re.search(RESERVED, key):
            yield Problem(f"spec.serviceAccount.annotations[{key}]", RESERVED_MESSAGE)
