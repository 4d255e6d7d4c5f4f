"""From a ModelDeployment's JSON bytes to the small body that the operator decodes: who it is, its spec, its status.

What users may write without bounds (annotations, managed fields, a spec that an older definition let through) is left
out here as bytes, before it costs several times as much as Python objects. Pure; both sources of ModelDeployments,
Kopf's watch and our lists, read them through it.
"""

from __future__ import annotations

import msgspec

from triton_operator.cluster.deep_json import decode_any_depth, is_cut, is_deeper

MOST_BYTES = 128 * 1024
"""A spec of more JSON is refused: the largest of our examples has 2 KB. A status of more is none of ours."""
MOST_LEVELS = 32
"""Nested objects and lists; the deepest that the definition knows are 15."""


class _Metadata(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    deletion_timestamp: str | None = None


class _Stored(msgspec.Struct, rename="camel"):
    metadata: _Metadata
    api_version: msgspec.Raw = msgspec.Raw(b'""')
    kind: msgspec.Raw = msgspec.Raw(b'""')
    spec: msgspec.Raw = msgspec.Raw(b"null")
    status: msgspec.Raw = msgspec.Raw(b"null")


class _Body(msgspec.Struct, rename="camel", omit_defaults=True):
    metadata: _Metadata
    api_version: msgspec.Raw
    kind: msgspec.Raw
    spec: msgspec.Raw
    status: msgspec.Raw
    unreadable: str = ""


_decode = msgspec.json.Decoder(_Stored).decode
_encode = msgspec.json.Encoder().encode
_NOTHING = msgspec.Raw(b"null")


def project_deployment(item: bytes | msgspec.Raw) -> bytes:
    """The body as JSON, with the member `unreadable` in the place of a spec that is beyond all bounds.

    Raises msgspec.DecodeError when not even the metadata is that of an object.
    """
    stored = decode_any_depth(_decode, bytes(item))
    spec, status = bytes(stored.spec), bytes(stored.status)
    unreadable = _beyond_bounds(spec)
    return _encode(
        _Body(
            stored.metadata,
            stored.api_version,
            stored.kind,
            spec=_NOTHING if unreadable else stored.spec,
            status=_NOTHING if _beyond_bounds(status) else stored.status,
            unreadable=unreadable,
        )
    )


def _beyond_bounds(part: bytes) -> str:
    """What is wrong with it, empty when nothing is."""
    if len(part) > MOST_BYTES:
        return f"is {len(part) // 1024} KiB of JSON; at most {MOST_BYTES // 1024} KiB are read"
    if is_cut(part) or is_deeper(part, MOST_LEVELS):
        return f"is nested deeper than {MOST_LEVELS} levels"
    return ""
