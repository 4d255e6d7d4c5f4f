"""Container images of this repository, built with or without a container engine.

`build("operator", ...)` gives images that can be imported; an unchanged tree builds nothing. `pack(name, folder)`
makes a model container of any folder. Names: operator, triton-cpu, models, pause, coredns. What the CPU Triton is made
of is part of the package, `triton_operator.cpu_server`, because `tritonctl run` lays out the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hack.images.builder import Image


def build(*names: str) -> list[Image]:
    """Build the named images, all of them without a name. Raises `ImageError` with the cause."""
    from hack.images.builder import build_image
    from hack.images.catalogue import IMAGES, definition

    return [build_image(definition(name)) for name in names or IMAGES]


def pack(name: str, folder: Path) -> Image:
    """Make a model container `triton-operator.local/<name>` whose files are those of `folder`."""
    from hack.images.builder import build_image
    from hack.images.catalogue import model_container

    return build_image(model_container(name, folder))
