"""Build the container images of this repository, with or without a container engine.

`build("operator", ...)` returns images that can be imported; if the tree is unchanged, nothing is built. `pack(name,
folder)` builds a model container from any folder. Names: operator, triton-cpu, models, pause, coredns. The components
of the CPU Triton are in the package (`triton_operator.cpu_server`), because `tritonctl run` uses them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hack.images.builder import BuiltImage


def build(*names: str) -> list[BuiltImage]:
    """Build the named images, or all if no name is given. Raises `ImageError`."""
    from hack.images.builder import build_image
    from hack.images.catalogue import IMAGES, definition

    return [build_image(definition(name)) for name in names or IMAGES]


def pack(name: str, folder: Path) -> BuiltImage:
    """Build a model container `triton-operator.local/<name>` with the files of `folder`."""
    from hack.images.builder import build_image
    from hack.images.catalogue import model_container

    return build_image(model_container(name, folder))
