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
    """A server image; `version` is its NVIDIA release (YY.MM), "" if it cannot be determined.

    `backends` are the image's backends according to the catalogue; empty if they are not known.
    """

    image: str
    version: str
    backends: tuple[str, ...] = ()

    @property
    def release(self) -> Version | None:
        """The release as a comparable Version; None if it cannot be determined."""
        return parse(self.version) if self.version else None


def choose_server_image(spec: Spec, settings: Settings) -> ServerImage:
    """The image for this spec; raises InvalidSpecError if the catalogue has no match or the release is too old."""
    if spec.triton.image is not None:
        return _supported(_own_image(spec.triton.image, spec.triton.version, settings), "spec.triton.image")
    accelerator = Accelerator.GPU if spec.gpu else Accelerator.CPU
    if spec.triton.version is not None:
        candidates = [entry for entry in settings.images if entry.version == spec.triton.version]
    else:
        candidates = [entry for entry in settings.images if entry.default]
    entry = _best(candidates, accelerator)
    if entry is None:
        raise _no_match(spec, settings, accelerator)
    return _supported(ServerImage(entry.image, entry.version, entry.backends), "spec.triton.version")


def _own_image(image: str, version: str | None, settings: Settings) -> ServerImage:
    """The user's image; if the catalogue lists it, its release and backends come from the catalogue."""
    entry = next((entry for entry in settings.images if entry.image == image), None)
    release = version or (entry.version if entry else _release_of(image))
    return ServerImage(image, release, entry.backends if entry else ())


def _best(entries: list[CatalogueImage], accelerator: Accelerator) -> CatalogueImage | None:
    """The first entry for the accelerator, or else a GPU image, because NVIDIA's GPU images also run on CPUs."""
    exact = [entry for entry in entries if entry.accelerator is accelerator]
    fallback = [entry for entry in entries if entry.accelerator is Accelerator.GPU]
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


def _no_match(spec: Spec, settings: Settings, accelerator: Accelerator) -> InvalidSpecError:
    """The error for a spec without a matching entry; its message lists only entries that serve on the accelerator."""
    suitable = [entry for entry in settings.images if _best([entry], accelerator)]
    listed = ", ".join(sorted({f"{entry.version} ({entry.accelerator})" for entry in suitable}))
    requested = f"entry for version {spec.triton.version}" if spec.triton.version else "default entry"
    choices = f"suitable entries: {listed}. Choose one of these, set" if listed else "it has no suitable entry. Set"
    return InvalidSpecError(
        Reason.UNKNOWN_VERSION,
        "spec.triton.version",
        f"the image catalogue has no {requested} for a {accelerator} deployment; {choices} spec.triton.image, "
        "or ask the administrator of the operator to add the entry.",
    )
