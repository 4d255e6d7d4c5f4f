"""Volumes of `spec.podTemplate`, and the Secrets that volumes and variables read.

Pure. Private profiles allow no volume through which data can leave the pod: the kubelet and CSI drivers connect to
storage from the node's network, which no network policy restricts, and other pods can read a claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triton_operator.api.errors import Problem
from triton_operator.api.pod_parts import ClaimVolume, CSIVolume, EmptyDirVolume, ProjectedVolume, Volume
from triton_operator.api.privacy import Profile
from triton_operator.resources.air_gap import is_by_digest
from triton_operator.resources.own_secrets import check_secret
from triton_operator.resources.pod_template.pod_facts import PodFacts
from triton_operator.resources.pod_template.resources import check_quantity

BY_DIGEST = "must be referenced by digest (@sha256:…) under the profile AirGapped"

_OF_THE_NODE = frozenset(
    {
        "awsElasticBlockStore",
        "azureDisk",
        "azureFile",
        "cephfs",
        "cinder",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "glusterfs",
        "hostPath",
        "iscsi",
        "nfs",
        "photonPersistentDisk",
        "portworxVolume",
        "quobyte",
        "rbd",
        "scaleIO",
        "storageos",
        "vsphereVolume",
    }
)
"""Types that give access to files of the node, or to servers over the node's network."""

_REFUSED_TYPE = "{} volumes are not allowed, because they give access to the node or its network; use a claim"
_WRITABLE = "must be true, because other pods can read the claim; only the profile Open allows pods to write to one"


def refused_types(volume: dict[str, Any], path: str) -> Iterator[Problem]:
    """Types of volumes that are never allowed."""
    for name in sorted(_OF_THE_NODE & volume.keys()):
        yield Problem(f"{path}.{name}", _REFUSED_TYPE.format(name))


def check_sources(volume: dict[str, Any], path: str) -> Iterator[Problem]:
    """The number of sources, of whatever type they are."""
    sources = sorted(volume.keys() - {"name"})
    if len(sources) != 1:
        given = f"not {', '.join(sources)}" if sources else "such as emptyDir or configMap"
        yield Problem(path, f"must have exactly one source, {given}")


def check_volume(volume: Volume, path: str, facts: PodFacts) -> Iterator[Problem]:
    """A volume that the template adds."""
    if volume.name in facts.own_volumes:
        yield Problem(f"{path}.name", f"{volume.name} is a volume of the operator; choose another name")
    if volume.empty_dir:
        yield from _check_size(volume.empty_dir, f"{path}.emptyDir.sizeLimit")
    if volume.secret:
        yield from check_secret(volume.secret.secret_name, f"{path}.secret.secretName", facts.own_secrets)
    if volume.projected:
        yield from _check_projected(volume.projected, f"{path}.projected", facts)
    if volume.persistent_volume_claim:
        yield from _check_claim(volume.persistent_volume_claim, f"{path}.persistentVolumeClaim", facts)
    if volume.ephemeral is not None and facts.profile.is_private:
        message = "other pods can read the claim; use emptyDir, because only the profile Open allows ephemeral claims"
        yield Problem(f"{path}.ephemeral", message)
    if volume.image and facts.profile is Profile.AIR_GAPPED and not is_by_digest(volume.image.reference):
        yield Problem(f"{path}.image.reference", BY_DIGEST)
    if volume.csi:
        yield from _check_driver(volume.csi, f"{path}.csi", facts)


def _check_size(volume: EmptyDirVolume, path: str) -> Iterator[Problem]:
    if volume.size_limit is None:
        yield Problem(path, "is required, so that the volume cannot fill the disk or the memory of the node")
    else:
        yield from check_quantity(volume.size_limit, path)


def _check_projected(volume: ProjectedVolume, path: str, facts: PodFacts) -> Iterator[Problem]:
    for index, source in enumerate(volume.sources):
        place = f"{path}.sources[{index}]"
        if source.secret:
            yield from check_secret(source.secret.name, f"{place}.secret.name", facts.own_secrets)
        if source.service_account_token is not None:
            yield Problem(f"{place}.serviceAccountToken", "pods have no token for a ServiceAccount; remove it")
        if source.pod_certificate is not None:
            yield Problem(f"{place}.podCertificate", "pods have no certificate other than the serving one; remove it")


def _check_claim(claim: ClaimVolume, path: str, facts: PodFacts) -> Iterator[Problem]:
    if facts.profile.is_private and not claim.read_only:
        yield Problem(f"{path}.readOnly", _WRITABLE)


def _check_driver(volume: CSIVolume, path: str, facts: PodFacts) -> Iterator[Problem]:
    if facts.profile.is_private:
        message = (
            "a CSI driver uses the network of the node, which no policy restricts; only the profile Open allows it"
        )
        yield Problem(path, message)
    if volume.node_publish_secret_ref:
        yield from check_secret(
            volume.node_publish_secret_ref.name, f"{path}.nodePublishSecretRef.name", facts.own_secrets
        )
