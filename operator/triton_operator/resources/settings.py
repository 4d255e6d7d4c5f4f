"""Settings of the installation: the operator's image, and the catalogue of server images and accelerators.

Input: a JSON file that the chart renders from its values; `runtime` and the CLI read it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from triton_operator.api.http_proxy import HttpProxy
from triton_operator.api.repository import CABundle
from triton_operator.api.struct import Struct
from triton_operator.errors import TritonOperatorError
from triton_operator.triton.server.versions import parse


class Accelerator(StrEnum):
    """The hardware that a server image is built for."""

    GPU = "GPU"
    CPU = "CPU"


NVIDIA_RESOURCES = "nvidia.com/*"
"""The GPUs of an image for GPUs that does not name any."""


class CatalogueImage(Struct, frozen=True):
    """A Triton image that deployments may use; `version` is its NVIDIA release, YY.MM.

    `resource_names` are the resources whose GPUs the image can use, for images other than NVIDIA's. `architecture` is
    that of the nodes (amd64, arm64) if the image has only one; "" otherwise.
    """

    image: str
    version: str
    backends: tuple[str, ...] = ()
    accelerator: Accelerator = Accelerator.GPU
    resource_names: tuple[str, ...] = ()
    architecture: str = ""
    default: bool = False

    @property
    def is_nvidias(self) -> bool:
        """Whether the image is for GPUs of NVIDIA."""
        return self.accelerator is Accelerator.GPU and not self.resource_names

    def can_use(self, resource_name: str) -> bool:
        """Whether the image can use the GPUs of this resource."""
        names = self.resource_names or (NVIDIA_RESOURCES,)
        return self.accelerator is Accelerator.GPU and any(covers(name, resource_name) for name in names)


class AcceleratorDefaults(Struct, frozen=True):
    """Defaults of `spec.scheduling` for pods that request a resource; in its name, a trailing * matches any suffix."""

    resource_name: str
    tolerations: tuple[dict[str, Any], ...] = ()
    runtime_class_name: str | None = None


class FetchDefaults(Struct, frozen=True):
    """Defaults for the containers that fetch models, `prepare` and the Jobs of caches.

    The Secret and the ConfigMap have the same names in each namespace. `proxy_cidrs` are the addresses of the proxy, to
    which network policies allow connections.
    """

    http_proxy: HttpProxy | None = None
    proxy_cidrs: tuple[str, ...] = ()
    ca_bundle_config_map_ref: CABundle | None = None


class PodUserIDs(StrEnum):
    """Who chooses the user and group IDs of serving pods and of the Jobs that fill caches."""

    FIXED = "Fixed"
    """The operator: the IDs that the images are made for."""
    CLUSTER = "Cluster"
    """An admission controller, such as the security context constraints of OpenShift."""


class Settings(Struct, frozen=True):
    """The settings of an installation; the `prepare` container of serving pods runs `operator_image`.

    The first of `accelerators` that is about a resource counts. `ipv6` is whether the first address of pods is an IPv6
    address, at which the kubelet, Services and Prometheus reach them. `max_concurrent_upgrades` is how many deployments
    with the revision policy Latest are updated at a time. `fetching` is about the download of models. With
    `pod_user_ids` Cluster, an admission controller has to set the IDs of pods, or their images must not run as root.
    """

    operator_image: str
    images: tuple[CatalogueImage, ...] = ()
    accelerators: tuple[AcceleratorDefaults, ...] = ()
    ipv6: bool = False
    max_concurrent_upgrades: int = 1
    fetching: FetchDefaults = FetchDefaults()
    pod_user_ids: PodUserIDs = PodUserIDs.FIXED


def in_cluster(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """The settings with the IP family of the cluster whose pod has this environment.

    The Service `kubernetes` has one address, of the cluster's first family; pods have their first address of it, too.
    """
    is_ipv6 = ":" in environment.get("KUBERNETES_SERVICE_HOST", "")
    return msgspec.structs.replace(settings, ipv6=settings.ipv6 or is_ipv6)


def covers(pattern: str, resource_name: str) -> bool:
    """Whether an entry of the catalogue is about this resource."""
    if pattern.endswith("*"):
        return resource_name.startswith(pattern[:-1])
    return resource_name == pattern


class InvalidSettingsError(TritonOperatorError):
    """The settings file cannot be used; the message names the file and the field."""


def load(path: Path) -> Settings:
    """Read the settings file; raises InvalidSettingsError."""
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise InvalidSettingsError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InvalidSettingsError(f"{path}: {error}") from error
    for index, entry in enumerate(settings.images):
        try:
            parse(entry.version)
        except ValueError as error:
            raise InvalidSettingsError(f"{path}: images[{index}].version: {error}") from error
    return settings
