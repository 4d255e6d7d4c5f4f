"""Compute the layers of an image and their keys before anything is built.

Input: a recipe and its build contexts. Output: a plan. Its keys are hashes of all inputs: the base, each step, each
copied or mounted file, and each setting. Equal inputs have equal keys on every machine. `builder` calls it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.images.containerfile import SCRATCH, Copy, ImageRecipe, LayerStep
from hack.images.failures import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hack.images.contexts import Context

FORMAT = "2"  # Increment it if the builder creates different layers from the same inputs.


@dataclass(frozen=True)
class PlannedLayer:
    """One layer; `step` is None for the base."""

    key: str
    step: LayerStep | None


@dataclass(frozen=True)
class ImagePlan:
    """The layers of an image, from bottom to top, and the key of the image."""

    recipe: ImageRecipe
    layers: tuple[PlannedLayer, ...]
    key: str


def make_plan(recipe: ImageRecipe, contexts: Mapping[str, Context], base_key: str) -> ImagePlan:
    """Compute the keys; each key depends on the layer below. `base_key` is ignored for FROM scratch."""
    layers: list[PlannedLayer] = []
    key = _hash(FORMAT)
    if recipe.base != SCRATCH:
        key = _hash(key, base_key)
        layers.append(PlannedLayer(key, None))
    for step in recipe.steps:
        key = _hash(key, repr(step.action), *_inputs(step, contexts), *_environment(step))
        layers.append(PlannedLayer(key, step))
    return ImagePlan(recipe, tuple(layers), _hash(key, repr(recipe.settings)))


def context_of(name: str, contexts: Mapping[str, Context]) -> Context:
    """The context called `name`; raises `ImageError` if it does not exist."""
    if name not in contexts:
        raise ImageError(f"unknown build context {name!r}; available: {', '.join(sorted(contexts))}")
    return contexts[name]


def _inputs(step: LayerStep, contexts: Mapping[str, Context]) -> list[str]:
    action = step.action
    if isinstance(action, Copy):
        return [context_of(action.origin, contexts).fingerprint(source) for source in action.sources]
    return [context_of(mount.origin, contexts).fingerprint(mount.source) for mount in action.mounts]


def _environment(step: LayerStep) -> tuple[str, ...]:
    """The settings that a RUN depends on; COPY depends on none."""
    return () if isinstance(step.action, Copy) else (*step.settings.env, step.settings.workdir)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
