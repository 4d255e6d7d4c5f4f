"""Caches of the certificate authority, the serving certificates and the CA bundles; `runtime` fills them from watches.

The watches start with the first deployment that needs a certificate. Without one, they do not load the API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.api.names import CA_KEY
from triton_operator.certificates.authority_data import read_authority_data
from triton_operator.certificates.periods import ANNOUNCED
from triton_operator.certificates.serving_data import ServingData, read_serving_data
from triton_operator.cluster.shared_objects import SharedCache

if TYPE_CHECKING:
    from triton_operator.certificates.rotation import Authorities


def _read_bundle(data: Mapping[str, str], _known: str | None) -> str:
    return data.get(CA_KEY, "")


class CertificateCaches:
    """The caches of one operator process; `needed` starts the watches, `synced` is set after their initial lists."""

    def __init__(self) -> None:
        self.serving: SharedCache[ServingData] = SharedCache(read_serving_data)
        self.bundles: SharedCache[str] = SharedCache(_read_bundle)
        self.authorities: SharedCache[Authorities | str] = SharedCache(read_authority_data)
        self.needed = asyncio.Event()
        self.synced = asyncio.Event()


class IssuerContext(NamedTuple):
    """What one operator process needs to issue certificates.

    `namespace` is that of the Secret with the CA key, or None if the operator does not know its own namespace. A new CA
    is in the bundle for the duration `announced` before it signs certificates.
    """

    caches: CertificateCaches
    namespace: str | None = None
    announced: timedelta = ANNOUNCED
