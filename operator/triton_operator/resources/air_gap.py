"""What the profile AirGapped requires in addition to Private: immutable images, signed models, internal sources.

Pure. Input: a spec, and for new pods the settings of the installation. Output: an InvalidSpecError that names all that
is missing. The CRD has the rules about the spec as well, but a stored object can be older than they are. Only the
settings contain the operator's image and the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import groupby
from urllib.parse import urlsplit

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.keda import ADDRESSES, OFFLINE_TRIGGERS
from triton_operator.api.privacy import Profile
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import Spec
from triton_operator.resources.server_image import ServerImage, choose_server_image
from triton_operator.resources.settings import Settings
from triton_operator.resources.vault import host_of, vault_of
from triton_operator.triton.server.versions import vulnerability

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""Addresses that are not routed on the internet. Link-local ones are not included: clouds serve credentials there."""

OPERATOR_IMAGE = "image.digest in the values of the Helm chart"
"""Not a field of the spec: the installation determines the image of `prepare` and `proxy`."""

_DIGEST = "@sha256:"
_BY_DIGEST = f"must be referenced by digest ({_DIGEST}…)"
_PRIVATE_ONLY = f"must contain private addresses ({', '.join(PRIVATE_RANGES)}){{}}"
_INSIDE = "must be a URL in the cluster, such as http://NAME.NAMESPACE.svc:PORT, or with a private IP address"
_CLUSTER_NAMES = (".svc", ".svc.cluster.local")
_NETWORKS = tuple(map(ip_network, PRIVATE_RANGES))


def is_by_digest(image: str) -> bool:
    """Whether the reference of an image always identifies the same content."""
    return _DIGEST in image


def check_air_gap(spec: Spec, settings: Settings | None = None) -> None:
    """Raise InvalidSpecError unless the profile is another one, or all requirements are met.

    Without `settings`, the images of the installation are not checked: an upgrade or a new vulnerability does not
    change what runs already; the privacy controls report it.
    """
    if spec.privacy.profile is not Profile.AIR_GAPPED:
        return
    if missing := find_missing(spec, settings):
        reason = missing[0].reason if len(missing) == 1 else Reason.INVALID_SPEC
        raise InvalidSpecError(reason, "spec.privacy.profile", f"AirGapped requires: {_listed(missing)}")


def find_missing(spec: Spec, settings: Settings | None = None) -> list[Problem]:
    """All requirements that are not met, each with the field to change and what it must be; none is reported twice."""
    found = [
        *_missing_of_images(spec),
        *_missing_of_signatures(spec),
        *_missing_of_cache(spec),
        *_missing_of_vault(spec),
        *_missing_of_dns(spec),
        *_missing_of_triggers(spec),
    ]
    return [*found, *(_missing_of_installation(spec, settings) if settings else ())]


def _missing_of_images(spec: Spec) -> Iterator[Problem]:
    for path, repository in _repositories(spec):
        if repository.image and not is_by_digest(repository.image.reference):
            yield Problem(f"{path}.image.reference", _BY_DIGEST)
    if spec.triton.image is not None and not is_by_digest(spec.triton.image):
        yield Problem("spec.triton.image", _BY_DIGEST)


def _missing_of_signatures(spec: Spec) -> Iterator[Problem]:
    if spec.verification is None or not spec.verification.keys:
        yield Problem("spec.verification.keys", "must contain the public keys of the signers of the models")
    if spec.verification and not spec.verification.require:
        yield Problem("spec.verification.require", "must not be false")


def _missing_of_cache(spec: Spec) -> Iterator[Problem]:
    """The Job of the cache downloads models, so it may connect to addresses inside only."""
    if not any(repository.fetched for _, repository in _repositories(spec)):
        return
    cidrs = spec.cache.egress.cidrs if spec.cache else ()
    public = [cidr for cidr in cidrs if not _is_private(cidr)]
    if public or not cidrs:
        found = f", not {', '.join(public)}" if public else ""
        yield Problem("spec.cache.egress.cidrs", _PRIVATE_ONLY.format(found))


def _missing_of_vault(spec: Spec) -> Iterator[Problem]:
    """Serving pods may connect to a vault inside only, and not to DNS, which forwards queries to servers outside."""
    vault = vault_of(spec)
    if vault is None:
        return
    if not _is_private(host_of(vault)):
        yield Problem("spec.decryption.vault.address", f"must contain a private IP address, not {host_of(vault)}")
    blocks = (peer.get("ipBlock") for peer in vault.egress.to)
    public = [str(block.get("cidr")) for block in blocks if block and not _is_private(str(block.get("cidr")))]
    if public:
        yield Problem("spec.decryption.vault.egress.to", _PRIVATE_ONLY.format(f", not {', '.join(public)}"))


def _missing_of_dns(spec: Spec) -> Iterator[Problem]:
    """The Job of the cache may send queries, through which data can get out."""
    nameservers = spec.dns_config.nameservers if spec.dns_config else ()
    if public := [address for address in nameservers if not _is_private(address)]:
        yield Problem("spec.dnsConfig.nameservers", _PRIVATE_ONLY.format(f", not {', '.join(public)}"))


def _missing_of_triggers(spec: Spec) -> Iterator[Problem]:
    """KEDA connects to what a trigger names, so this must be inside."""
    autoscaling = spec.autoscaling
    if autoscaling is None:
        return
    if autoscaling.prometheus_server and not _is_inside(autoscaling.prometheus_server):
        yield Problem("spec.autoscaling.keda.prometheusServer", _INSIDE)
    for index, metric in enumerate(autoscaling.metrics):
        path, trigger = f"spec.autoscaling.metrics[{index}].trigger", metric.trigger or {}
        kind, metadata = str(trigger.get("type", "")), trigger.get("metadata")
        if metric.trigger is None or kind in OFFLINE_TRIGGERS:
            continue
        name = ADDRESSES.get(kind)
        if name is None:
            known = ", ".join(sorted({*OFFLINE_TRIGGERS, *ADDRESSES}))
            yield Problem(f"{path}.type", f"must be one of {known}, not {kind}")
        elif not isinstance(metadata, dict) or not _is_inside(str(metadata.get(name, ""))):
            yield Problem(f"{path}.metadata.{name}", _INSIDE)


def _missing_of_installation(spec: Spec, settings: Settings) -> Iterator[Problem]:
    try:
        server = choose_server_image(spec, settings)
    except InvalidSpecError as error:
        yield Problem(error.path, error.message, error.reason)
    else:
        yield from _missing_of_server(spec, server)
    if not is_by_digest(settings.operator_image):
        yield Problem(OPERATOR_IMAGE, f"must be set, because the pods run {settings.operator_image}")


def _missing_of_server(spec: Spec, server: ServerImage) -> Iterator[Problem]:
    if spec.triton.image is None and not is_by_digest(server.image):
        message = f"must be set by digest, because the catalogue of the Helm chart has {server.image}"
        yield Problem("spec.triton.image", message)
    if server.release is None:
        yield Problem("spec.triton.version", f"must be set, because the release of {server.image} is not known")
    elif found := vulnerability(server.release):
        message = f"must be {found.fixed_in} or newer, because {server.release} has known vulnerabilities"
        yield Problem("spec.triton.version", message)


def _repositories(spec: Spec) -> Iterator[tuple[str, ModelRepository]]:
    if spec.model_repository:
        yield "spec.modelRepository", spec.model_repository
    for index, model in enumerate(spec.models):
        if model.model_repository:
            yield f"spec.models[{index}].modelRepository", model.model_repository


def _is_inside(url: str) -> bool:
    """Whether the host of a URL is a name of a Service, or a private address."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # For example, text in brackets that is not an IPv6 address.
        return False
    return host.endswith(_CLUSTER_NAMES) or _is_private(host)


def _is_private(cidr: str) -> bool:
    """Whether the addresses in a range, or a single address, are private."""
    try:
        network = ip_network(cidr)
    except ValueError:
        return False
    return any(_contains(private, network) for private in _NETWORKS)


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _listed(missing: Sequence[Problem]) -> str:
    """Fields with the same problem share its message, so that a long list fits into a condition."""
    grouped = groupby(missing, key=lambda each: each.message)
    return "; ".join(f"{', '.join(each.path for each in group)}: {message}" for message, group in grouped)
