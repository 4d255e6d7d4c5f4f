"""Choose the Triton image of a deployment: the one in its spec, or the matching entry of the catalogue.

Pure; called once per rendering. An image's release determines its flags and known vulnerabilities.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.gpu import NVIDIA_GPU
from triton_operator.api.spec import Spec
from triton_operator.resources.settings import NVIDIA_RESOURCES, Accelerator, CatalogueImage, Settings, covers
from triton_operator.triton.server.flags import COMMON_SINCE
from triton_operator.triton.server.versions import Version, parse

_RELEASE_TAG = re.compile(r":(\d\d\.\d\d)(?:-[\w.-]+)?(?:@.*)?$")


class ServerImage(NamedTuple):
    """A server image; `version` is its NVIDIA release (YY.MM), "" if it cannot be determined.

    `backends` are the image's backends according to the catalogue; empty if they are not known. `architecture` is that
    of the nodes on which it runs, "" for any.
    """

    image: str
    version: str
    backends: tuple[str, ...] = ()
    architecture: str = ""

    @property
    def release(self) -> Version | None:
        """The release as a comparable Version; None if it cannot be determined."""
        return parse(self.version) if self.version else None


def choose_server_image(spec: Spec, settings: Settings) -> ServerImage:
    """The image for this spec; raises InvalidSpecError if the catalogue has no match or the release is too old."""
    if spec.triton.image is not None:
        return _supported(_own_image(spec.triton.image, spec.triton.version, settings), "spec.triton.image")
    # Claims do not say whose GPUs they are of.
    resource = spec.gpu.extended_resource or NVIDIA_GPU if spec.gpu else ""
    if resource and not any(entry.can_use(resource) for entry in settings.images if not entry.is_nvidias):
        _make_sure_it_is_nvidias(resource)
    if spec.triton.version is not None:
        candidates = [entry for entry in settings.images if entry.version == spec.triton.version]
    else:
        candidates = [entry for entry in settings.images if entry.default]
    entry = _best(candidates, resource)
    if entry is None:
        raise _no_match(spec, settings, resource)
    server = ServerImage(entry.image, entry.version, entry.backends, entry.architecture)
    return _supported(server, "spec.triton.version")


def _own_image(image: str, version: str | None, settings: Settings) -> ServerImage:
    """The user's image; if the catalogue lists it, its release and backends come from the catalogue."""
    entry = next((entry for entry in settings.images if entry.image == image), None)
    release = version or (entry.version if entry else _release_of(image))
    return ServerImage(image, release, entry.backends, entry.architecture) if entry else ServerImage(image, release)


def _make_sure_it_is_nvidias(resource: str) -> None:
    """An image of NVIDIA would start on other GPUs, and fail or serve on the CPU."""
    if covers(NVIDIA_RESOURCES, resource):
        return
    raise InvalidSpecError(
        Reason.UNKNOWN_VERSION,
        "spec.gpu.resourceName",
        f"the image catalogue has no image for {resource}, and NVIDIA's images cannot use these GPUs; set "
        "spec.triton.image, or ask the administrator of the operator to add an image with "
        f"resourceNames: [{resource}] to the chart value images",
    )


def _best(entries: list[CatalogueImage], resource: str) -> CatalogueImage | None:
    """The first entry for these GPUs; for the CPU (""), one for CPUs or else of NVIDIA, which also runs on CPUs."""
    if resource:
        return next((entry for entry in entries if entry.can_use(resource)), None)
    exact = [entry for entry in entries if entry.accelerator is Accelerator.CPU]
    fallback = [entry for entry in entries if entry.is_nvidias]
    return next(iter(exact or fallback), None)


def _supported(server: ServerImage, path: str) -> ServerImage:
    """`server`; raises InvalidSpecError for a release whose administration APIs cannot be closed."""
    if server.release is None or server.release >= COMMON_SINCE:
        return server
    raise InvalidSpecError(
        Reason.UNSUPPORTED_BY_IMAGE,
        path,
        f"Triton {server.release} is not supported, because its administration APIs cannot be closed over gRPC. "
        f"Choose {COMMON_SINCE} or newer.",
    )


def _release_of(image: str) -> str:
    match = _RELEASE_TAG.search(image)
    return match.group(1) if match else ""


def _no_match(spec: Spec, settings: Settings, resource: str) -> InvalidSpecError:
    """The error for a spec without a matching entry; its message lists only entries that serve on the accelerator."""
    suitable = [entry for entry in settings.images if _best([entry], resource)]
    accelerator = Accelerator.GPU if resource else Accelerator.CPU
    listed = ", ".join(sorted({f"{entry.version} ({entry.accelerator})" for entry in suitable}))
    requested = f"entry for version {spec.triton.version}" if spec.triton.version else "default entry"
    choices = f"suitable entries: {listed}. Choose one of these, set" if listed else "it has no suitable entry. Set"
    return InvalidSpecError(
        Reason.UNKNOWN_VERSION,
        "spec.triton.version",
        f"the image catalogue has no {requested} for a {accelerator} deployment; {choices} spec.triton.image, "
        "or ask the administrator of the operator to add the entry.",
    )
