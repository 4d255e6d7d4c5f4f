"""What was read from the cluster for a report, as the API server returned it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from triton_operator.cli.privacy.report import NotRead
from triton_operator.sdk.cluster_objects import Object


@dataclass(frozen=True)
class ServedCertificate:
    """The certificate that the server at an address presented (DER), and the version of TLS."""

    address: str
    der: bytes
    protocol: str


@dataclass(frozen=True)
class Observed:
    """The deployment and the objects around it; what could not be read is in `not_read`.

    `policies` are all NetworkPolicies of the namespace, and `config_maps` those that the deployment uses, by name.
    """

    deployment: Object
    server: str = ""
    version: str = ""
    pods: Sequence[Object] = ()
    policies: Sequence[Object] = ()
    config_maps: Mapping[str, Object] = field(default_factory=dict)
    certificate: Object | None = None
    served: ServedCertificate | None = None
    not_read: tuple[NotRead, ...] = ()
