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
"""The first Triton release that supports a format; only formats that old releases of a backend do not support.

Source: pytorch_backend, src/libtorch.cc.
"""


def check_formats(spec: Spec, server: ServerImage) -> None:
    """Raise InvalidSpecError for the first model that the image cannot run."""
    for index, model in enumerate(spec.models):
        model_format = known_format(model)
        if model_format is not None and not aotinductor_backend(model, server):
            _check_backend(model_format, server, f"spec.models[{index}].format")
            _check_release(model_format, server, f"spec.models[{index}].format")


def aotinductor_backend(model: Model, server: ServerImage) -> str:
    """The server's separate backend for AOTInductor files; "" if it has none or the model has another format."""
    may_be = known_format(model) in {Format.AOT_INDUCTOR, None}
    return AOT_INDUCTOR_BACKEND if may_be and AOT_INDUCTOR_BACKEND in server.backends else ""


def known_format(model: Model) -> Format | None:
    """The model's format according to the spec; None if only the configuration in the repository specifies it."""
    return model.format or (Format.TORCHSCRIPT if model.config else None)


def _check_backend(model_format: Format, server: ServerImage, path: str) -> None:
    backend = RUNNERS[model_format].backend
    if not backend or not server.backends or backend in server.backends:
        return
    raise InvalidSpecError(
        Reason.UNSUPPORTED_BY_IMAGE,
        path,
        f"{model_format} requires Triton's backend {backend}, but the image {server.image} has only "
        f"{', '.join(server.backends)}; choose another spec.triton.version or spec.triton.image",
    )


def _check_release(model_format: Format, server: ServerImage, path: str) -> None:
    since = _SINCE.get(model_format)
    if since is None or server.release is None or since <= server.release:
        return
    raise InvalidSpecError(
        Reason.UNSUPPORTED_BY_IMAGE,
        path,
        f"{model_format} requires Triton {since} or newer, but the image {server.image} has {server.release}; "
        f"choose a newer spec.triton.version. If it is this project's CPU image, add {AOT_INDUCTOR_BACKEND} "
        "to its backends in the chart value images",
    )
