"""The part of a spec that forms the pods: a revision stores it, and `tritonctl rollout undo` restores it.

Pure. Input: specs. Output: a spec with the pods of another one, and its stored form. Replicas, autoscaling, callers,
the Service and the way in which pods are replaced do not belong to a revision. It contains no secrets, only references
to Secrets, and nothing that the object does not have, too.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from triton_operator.api.cache import Cache, Egress
from triton_operator.api.decryption import Decryption
from triton_operator.api.privacy import TLS, TLSMode
from triton_operator.api.spec import Spec
from triton_operator.api.struct import Struct

T = TypeVar("T", bound=Struct)

MOST_BYTES = 131_072
"""A larger spec is not stored: a ControllerRevision, which also has the pod template, may have 1.5 MB."""

_WHOLE = (
    "models",
    "model_repository",
    "verification",
    "gpu",
    "resources",
    "prepare",
    "image_pull_secrets",
    "image_pull_policy",
    "dns_config",
    "host_aliases",
    "env",
    "env_from",
    "pod_labels",
    "pod_annotations",
    "triton",
    "scheduling",
    "lifecycle",
    "pod_template",
)
"""The fields of a spec that affect only pods."""


def with_pods_of(spec: Spec, other: Spec) -> Spec:
    """The spec with the pods of the other one; both have the same `inputs_hash` then.

    Parts that do not affect pods, such as the egress of a cache, remain if the other spec uses the same feature.
    """
    return _replace(
        spec,
        **{name: getattr(other, name) for name in _WHOLE if getattr(spec, name) != getattr(other, name)},
        cache=_cache(spec.cache, other.cache),
        decryption=_decryption(spec.decryption, other.decryption),
        service_account=_replace(spec.service_account, name=other.service_account.name),
        rollout=_replace(spec.rollout, restarted_at=other.rollout.restarted_at),
        privacy=_replace(
            spec.privacy,
            profile=other.privacy.profile,
            tls=_tls(spec.privacy.tls, other.privacy.tls),
            proxy=other.privacy.proxy,
        ),
    )


def with_protection_of(spec: Spec, other: Spec) -> Spec:
    """The spec with those fields of the other one that protect data.

    The egress of a cache that the other one does not have is left out: no user of that spec has permitted it.
    """
    egress = other.cache.egress if other.cache else Egress()
    return _replace(
        spec,
        cache=_replace(spec.cache, egress=egress) if spec.cache else None,
        verification=other.verification,
        decryption=other.decryption,
        triton=_replace(spec.triton, open_endpoints=other.triton.open_endpoints),
        privacy=_replace(spec.privacy, profile=other.privacy.profile, tls=other.privacy.tls),
    )


def stored_spec(spec: Spec) -> dict[str, Any] | msgspec.UnsetType:
    """The part of the spec that affects pods as JSON, without defaults; unset if it is too large."""
    encoded = msgspec.json.encode(with_pods_of(Spec(models=()), spec))
    found: dict[str, Any] = msgspec.json.decode(encoded)
    return found if len(encoded) <= MOST_BYTES else msgspec.UNSET


def _replace(struct: T, **fields: Any) -> T:
    """The same object if nothing differs, because a default is omitted in the encoded form only if it is identical."""
    found = msgspec.structs.replace(struct, **fields)
    return struct if found == struct else found


def _tls(tls: TLS, other: TLS) -> TLS:
    """The issuer affects the content of the Secret, which changes in place."""
    same = tls.mode is other.mode is TLSMode.CERT_MANAGER
    found = _replace(other, cert_manager=tls.cert_manager) if same else other
    return tls if found == tls else found


def _cache(cache: Cache | None, other: Cache | None) -> Cache | None:
    if cache is None or other is None:
        return other
    return _replace(other, egress=cache.egress, resources=cache.resources)


def _decryption(decryption: Decryption | None, other: Decryption | None) -> Decryption | None:
    if not (decryption and decryption.vault and other and other.vault):
        return other
    return _replace(other, vault=_replace(other.vault, egress=decryption.vault.egress))
