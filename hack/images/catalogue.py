"""The images of this repository: the Containerfile and the build contexts of each.

Input: a name. Output: `Definition`. `hack.images` calls it. Nothing is downloaded or built here: contexts are prepared
when a layer that needs them is built.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hack.images.contexts import Context, Folder, PreparedContext
from hack.images.failures import ImageError
from hack.images.haproxy import haproxy
from hack.images.python_packages import python_packages
from hack.programs import gobuild
from hack.programs.catalogue import NODE
from hack.programs.gobuild import GoModule

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
PAUSE = GoModule(name="pause", folder=ROOT / "hack" / "images" / "pause", programs=("pause",))


@dataclass(frozen=True)
class Definition:
    """An image: `main` is the build context of COPY without --from, `contexts` are the named contexts."""

    name: str
    containerfile: Path
    main: Context
    contexts: dict[str, Context] = field(default_factory=dict)


def operator() -> Definition:
    """The operator, `prepare` and the sidecar `proxy`."""
    packages = python_packages("operator", ROOT / "requirements-operator.lock", platform.machine())
    contexts: dict[str, Context] = {"packages": packages, "haproxy": haproxy()}
    return Definition("operator", ROOT / "operator" / "Dockerfile", Folder(ROOT), contexts)


def triton_cpu() -> Definition:
    """Triton for machines without a GPU; nvidia-pytriton is available only for x86_64."""
    if platform.machine() != "x86_64":
        raise ImageError(
            f"image triton-cpu requires an x86_64 machine; Triton is not packaged for {platform.machine()}"
        )
    folder = ROOT / "hack" / "images" / "triton-cpu"
    lock = ROOT / "operator" / "triton_operator" / "cpu_server" / "requirements.lock"
    packages = python_packages("triton-cpu", lock, "x86_64")
    return Definition("triton-cpu", folder / "Containerfile", Folder(ROOT), {"packages": packages})


def models() -> Definition:
    """The models of `model_repository/`."""
    return model_container("models", ROOT / "model_repository")


def model_container(name: str, folder: Path) -> Definition:
    """A model container with the files of any folder."""
    return Definition(name, ROOT / "model_repository" / "Containerfile", Folder(folder))


def pause() -> Definition:
    """The container that holds a pod's namespaces."""
    return _of_program("pause", PAUSE)


def coredns() -> Definition:
    """The cluster's DNS server."""
    return _of_program("coredns", NODE)


def _of_program(name: str, module: GoModule) -> Definition:
    built = PreparedContext(gobuild.fingerprint(module), partial(gobuild.built, module))
    return Definition(name, ROOT / "hack" / "images" / name / "Containerfile", Folder(ROOT), {"programs": built})


IMAGES: dict[str, Callable[[], Definition]] = {
    "operator": operator,
    "triton-cpu": triton_cpu,
    "models": models,
    "pause": pause,
    "coredns": coredns,
}


def definition(name: str) -> Definition:
    """Find an image by name; raises `ImageError` with the available names."""
    if name not in IMAGES:
        raise ImageError(f"unknown image {name!r}; available: {', '.join(IMAGES)}")
    return IMAGES[name]()
