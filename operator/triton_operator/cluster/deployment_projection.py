"""Projects the JSON of a ModelDeployment to a bounded body with its identity, spec and status.

Unbounded parts (annotations, managed fields, a spec that an older CRD accepted) are removed as bytes, because Python
objects need several times the memory. Pure. Kopf's watch and the operator's lists read ModelDeployments through it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.names import content_hash
from triton_operator.cluster.deep_json import decode_any_depth, is_cut, is_deeper

MOST_BYTES = 128 * 1024
"""Limit for the JSON of a spec; the largest example has 2 KB. A larger status is not the operator's."""
_DIGITS = 16
MOST_LEVELS = 32
"""Limit for nested objects and lists; the CRD has at most 15."""


class _DeploymentMetadata(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    deletion_timestamp: str | None = None
    spec_digest: str = ""


class _StoredDeployment(msgspec.Struct, rename="camel"):
    metadata: _DeploymentMetadata
    api_version: msgspec.Raw = msgspec.Raw(b'""')
    kind: msgspec.Raw = msgspec.Raw(b'""')
    spec: msgspec.Raw = msgspec.Raw(b"null")
    status: msgspec.Raw = msgspec.Raw(b"null")


class _BoundedBody(msgspec.Struct, rename="camel", omit_defaults=True):
    metadata: _DeploymentMetadata
    api_version: msgspec.Raw
    kind: msgspec.Raw
    spec: msgspec.Raw
    status: msgspec.Raw
    unreadable: str = ""


_decode = msgspec.json.Decoder(_StoredDeployment).decode
_encode = msgspec.json.Encoder().encode
_NOTHING = msgspec.Raw(b"null")


def project_deployment(item: bytes | msgspec.Raw) -> bytes:
    """The body as JSON, with the member `unreadable` instead of a spec that exceeds the limits, and `specDigest`.

    Raises msgspec.DecodeError if the metadata cannot be decoded.
    """
    stored = decode_any_depth(_decode, bytes(item))
    spec, status = bytes(stored.spec), bytes(stored.status)
    unreadable = _beyond_bounds(spec)
    stored.metadata.spec_digest = content_hash(spec, _DIGITS)
    return _encode(
        _BoundedBody(
            stored.metadata,
            stored.api_version,
            stored.kind,
            spec=_NOTHING if unreadable else stored.spec,
            status=_NOTHING if _beyond_bounds(status) else stored.status,
            unreadable=unreadable,
        )
    )


def spec_digest(item: bytes | msgspec.Raw) -> str:
    """The digest of the spec, which the projected body has in its metadata."""
    return content_hash(bytes(decode_any_depth(_decode, bytes(item)).spec), _DIGITS)


def _beyond_bounds(part: bytes) -> str:
    """Which limit it exceeds, "" if none."""
    if len(part) > MOST_BYTES:
        return f"is {len(part) // 1024} KiB of JSON; at most {MOST_BYTES // 1024} KiB are read"
    if is_cut(part) or is_deeper(part, MOST_LEVELS):
        return f"is nested deeper than {MOST_LEVELS} levels"
    return ""
