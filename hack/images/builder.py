"""Build images, each only if one of its inputs has changed.

Input: definitions. Output: `BuiltImage`: a reference whose tag is a hash of all inputs, and an archive to import.
`hack.images` calls it.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hack.cache import cache_dir, locked
from hack.images.base_image import base
from hack.images.containerfile import Run, parse
from hack.images.failures import ImageError
from hack.images.layers import Layer, ensure_layer, layer_folder
from hack.images.oci import read_digest, write_archive
from hack.images.plan import make_plan
from hack.images.sandbox import require_sandbox
from hack.progress import step

if TYPE_CHECKING:
    from pathlib import Path

    from hack.images.catalogue import Definition
    from hack.images.contexts import Context
    from hack.images.plan import ImagePlan

REGISTRY = "triton-operator.local"
_KEPT_SECONDS = 3 * 24 * 3600
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class BuiltImage:
    """A built image: `reference` is `triton-operator.local/<name>:<hash12>`, `archive` an OCI layout in a tar file."""

    name: str
    reference: str
    archive: Path

    @cached_property
    def digest(self) -> str:
        """The image's digest, `sha256:...`, for references by digest."""
        return read_digest(self.archive)


def image_of(definition: Definition) -> BuiltImage:
    """Return the image's reference and archive, whether or not it is built; reads sources, writes nothing."""
    return _image(definition.name, plan_of(definition))


def build_image(definition: Definition) -> BuiltImage:
    """Build the image unless it exists. Raises `ImageError`."""
    plan = plan_of(definition)
    image = _image(definition.name, plan)
    _note_use(image, plan)
    if image.archive.exists():
        return image
    with locked(f"image-{definition.name}"):
        if not image.archive.exists():
            _build(definition, plan_of(definition))
            _forget_unused()
    return image


def plan_of(definition: Definition) -> ImagePlan:
    """Read the Containerfile and compute the layers."""
    recipe = parse(definition.containerfile.read_text(), str(definition.containerfile))
    return make_plan(recipe, _contexts(definition), base().key)


def prune(definitions: list[Definition]) -> int:
    """Remove all layers and archives that these images do not use; returns the number of bytes freed."""
    plans = {definition.name: plan_of(definition) for definition in definitions}
    kept = {layer_folder(planned.key) for plan in plans.values() for planned in plan.layers}
    kept |= {_image(name, plan).archive for name, plan in plans.items()}
    return sum(_remove(path) for path in _stored() if path not in kept)


def _note_use(image: BuiltImage, plan: ImagePlan) -> None:
    """Mark the existing layers and archive of the image as used, before anything is built on them."""
    for path in (image.archive, *(layer_folder(planned.key) for planned in plan.layers)):
        with suppress(FileNotFoundError, PermissionError):  # Not built yet; built with sudo, used without it.
            os.utime(path)


def _forget_unused() -> None:
    """Remove files that no checkout sharing the cache used recently, because each state of the sources adds 1 GB."""
    for path in _stored():
        with suppress(FileNotFoundError, PermissionError):  # Another command removed it first; built with sudo.
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                _remove(path)


def _stored() -> list[Path]:
    """List layers and archives, including those of other checkouts."""
    folders = [cache_dir() / "images" / name for name in ("layers", "archives")]
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


def _remove(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    size = sum(file.lstat().st_size for file in files)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return size


def _image(name: str, plan: ImagePlan) -> BuiltImage:
    tag = plan.key[:12]
    return BuiltImage(name, f"{REGISTRY}/{name}:{tag}", cache_dir() / "images" / "archives" / f"{name}-{tag}.tar")


def _contexts(definition: Definition) -> dict[str, Context]:
    return {"": definition.main, **definition.contexts}


def _build(definition: Definition, plan: ImagePlan) -> None:
    machine = platform.machine()
    if machine not in _MACHINES:
        raise ImageError(f"images can be built only on x86_64 and aarch64 machines, not on {machine}")
    missing = [planned for planned in plan.layers if not layer_folder(planned.key).is_dir()]
    if any(planned.step is None or isinstance(planned.step.action, Run) for planned in missing):
        require_sandbox()
    image = _image(definition.name, plan)
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    with step(f"image {definition.name}") as current:
        layers: list[Layer] = []
        for number, planned in enumerate(plan.layers, start=1):
            current.note(f"layer {number} of {len(plan.layers)}")
            layers.append(ensure_layer(planned, layers, _contexts(definition), base()))
        current.note("archive")
        write_archive(image.archive, image.reference, layers, plan.recipe.settings, _MACHINES[machine])
