"""Check whether the server's image supports the models' formats, before a pod occupies a GPU.

Pure. Input: a spec and its server. Raises InvalidSpecError. The catalogue lists the backends of an image; for other
images, Triton reports the error at run time.
"""

from __future__ import annotations

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.model import Format, Model
from triton_operator.api.spec import Spec
from triton_operator.resources.server_image import ServerImage
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND
from triton_operator.triton.config.formats import RUNNERS
from triton_operator.triton.server.versions import Version

_SINCE = {Format.AOT_INDUCTOR: Version(26, 3)}
"""First release whose backend runs a format that came later than the backend (pytorch_backend, src/libtorch.cc)."""


def check_formats(spec: Spec, server: ServerImage) -> None:
    """Raise InvalidSpecError for the first model that the image cannot run."""
    for index, model in enumerate(spec.models):
        wanted = known_format(model)
        if wanted is not None and not aotinductor_backend(model, server):
            _make_sure_there_is_a_backend(wanted, server, f"spec.models[{index}].format")
            _make_sure_the_release_has_it(wanted, server, f"spec.models[{index}].format")


def aotinductor_backend(model: Model, server: ServerImage) -> str:
    """The backend of its own that the server has for a file of AOTInductor, "" for none and for another format."""
    may_be = known_format(model) in {Format.AOT_INDUCTOR, None}
    return AOT_INDUCTOR_BACKEND if may_be and AOT_INDUCTOR_BACKEND in server.backends else ""


def known_format(model: Model) -> Format | None:
    """What the spec says; None where only the configuration in the repository does."""
    return model.format or (Format.TORCHSCRIPT if model.config else None)


def _make_sure_there_is_a_backend(wanted: Format, server: ServerImage, path: str) -> None:
    backend = RUNNERS[wanted].backend
    if not backend or not server.backends or backend in server.backends:
        return
    raise InvalidSpecError(
        Reason.UNSUPPORTED_BY_IMAGE,
        path,
        f"{wanted} requires Triton's backend {backend}, but the image {server.image} has only "
        f"{', '.join(server.backends)}; choose another spec.triton.version or spec.triton.image",
    )


def _make_sure_the_release_has_it(wanted: Format, server: ServerImage, path: str) -> None:
    since = _SINCE.get(wanted)
    if since is None or server.release is None or since <= server.release:
        return
    raise InvalidSpecError(
        Reason.UNSUPPORTED_BY_IMAGE,
        path,
        f"{wanted} requires Triton {since} or newer, but the image {server.image} has {server.release}; "
        f"choose a newer spec.triton.version. If it is this project's CPU image, add {AOT_INDUCTOR_BACKEND} "
        "to its backends in the chart's images",
    )
