"""Choose the Triton image of a deployment: the one in its spec, or the matching entry of the catalogue.

Pure; called once per rendering. An image's release determines its flags and known vulnerabilities.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import Spec
from triton_operator.resources.settings import Accelerator, CatalogueImage, Settings
from triton_operator.triton.server.flags import COMMON_SINCE
from triton_operator.triton.server.versions import Version, parse

_RELEASE_TAG = re.compile(r":(\d\d\.\d\d)(?:-[\w.-]+)?(?:@.*)?$")


class ServerImage(NamedTuple):
    """A server image and its NVIDIA release (YY.MM), "" when it cannot be told.

    `backends` are those that the catalogue says it has, none where nobody says.
    """

    image: str
    version: str
    backends: tuple[str, ...] = ()

    @property
    def release(self) -> Version | None:
        """The release as one that compares; None when it cannot be told."""
        return parse(self.version) if self.version else None


def choose_server_image(spec: Spec, settings: Settings) -> ServerImage:
    """The image for this spec; raises InvalidSpecError when the catalogue has none that fits, or it is too old."""
    if spec.triton.image is not None:
        return _supported(_own_image(spec.triton.image, spec.triton.version, settings), "spec.triton.image")
    wanted = Accelerator.GPU if spec.gpu else Accelerator.CPU
    if spec.triton.version is not None:
        fitting = [entry for entry in settings.images if entry.version == spec.triton.version]
    else:
        fitting = [entry for entry in settings.images if entry.default]
    entry = _best(fitting, wanted)
    if entry is None:
        raise _nothing_fits(spec, settings, wanted)
    return _supported(ServerImage(entry.image, entry.version, entry.backends), "spec.triton.version")


def _own_image(image: str, version: str | None, settings: Settings) -> ServerImage:
    """An image that the user names; where the catalogue has it too, more is known of it."""
    entry = next((entry for entry in settings.images if entry.image == image), None)
    release = version or (entry.version if entry else _release_of(image))
    return ServerImage(image, release, entry.backends if entry else ())


def _best(entries: list[CatalogueImage], wanted: Accelerator) -> CatalogueImage | None:
    """NVIDIA's GPU images also run without a GPU, so they serve when no CPU image is listed; never the reverse."""
    exact = [entry for entry in entries if entry.accelerator is wanted]
    spare = [entry for entry in entries if entry.accelerator is Accelerator.GPU]
    return next(iter(exact or spare), None)


def _supported(server: ServerImage, path: str) -> ServerImage:
    """The same; raises InvalidSpecError for a release in which the administration could not be closed."""
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


def _nothing_fits(spec: Spec, settings: Settings, wanted: Accelerator) -> InvalidSpecError:
    known = ", ".join(sorted({f"{entry.version} ({entry.accelerator})" for entry in settings.images})) or "none"
    asked = f"version {spec.triton.version}" if spec.triton.version else "a default image"
    return InvalidSpecError(
        Reason.UNKNOWN_VERSION,
        "spec.triton.version",
        f"the image catalogue has no entry for {asked} with {wanted}; it has: {known}. "
        "Choose one of these, set spec.triton.image, or ask the administrator of the operator to add it.",
    )
