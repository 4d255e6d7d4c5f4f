"""Settings of the installation: the operator's image and the catalogue of server images.

Input: a JSON file that the chart renders from its values; `runtime` and the CLI read it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from triton_operator.api.struct import Struct
from triton_operator.errors import TritonOperatorError
from triton_operator.triton.server.versions import parse


class Accelerator(StrEnum):
    """The hardware that a server image is built for."""

    GPU = "GPU"
    CPU = "CPU"


class CatalogueImage(Struct, frozen=True):
    """A Triton image that deployments may use; `version` is its NVIDIA release, YY.MM."""

    image: str
    version: str
    backends: tuple[str, ...] = ()
    accelerator: Accelerator = Accelerator.GPU
    default: bool = False


class Settings(Struct, frozen=True):
    """The settings of an installation; the `prepare` container of serving pods runs `operator_image`.

    `ipv6` is whether the first address of pods is an IPv6 address, at which the kubelet, Services and Prometheus reach
    them.
    """

    operator_image: str
    images: tuple[CatalogueImage, ...] = ()
    ipv6: bool = False


def in_cluster(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """The settings with the IP family of the cluster whose pod has this environment.

    The Service `kubernetes` has one address, of the cluster's first family; pods have their first address of it, too.
    """
    is_ipv6 = ":" in environment.get("KUBERNETES_SERVICE_HOST", "")
    return msgspec.structs.replace(settings, ipv6=settings.ipv6 or is_ipv6)


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
