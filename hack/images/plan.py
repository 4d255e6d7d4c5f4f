"""Which layers an image consists of, and what they are called, before anything is built.

Input: a recipe and its build contexts. Output: a plan, whose keys are hashes of everything that goes in: the base, each
step, each copied or mounted file, each setting. Equal inputs give equal keys on every machine. Called by `builder`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.images.containerfile import SCRATCH, Copy, Recipe, Step
from hack.images.failures import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hack.images.contexts import Context

FORMAT = "2"  # raise it when the builder makes different layers of the same inputs


@dataclass(frozen=True)
class PlannedLayer:
    """One layer; `step` is None for the base."""

    key: str
    step: Step | None


@dataclass(frozen=True)
class Plan:
    """An image to be: its layers from the lowest up, and the key of the whole."""

    recipe: Recipe
    layers: tuple[PlannedLayer, ...]
    key: str


def make_plan(recipe: Recipe, contexts: Mapping[str, Context], base_key: str) -> Plan:
    """Chain the keys: each layer's contains the one below. `base_key` is ignored for FROM scratch."""
    layers: list[PlannedLayer] = []
    key = _hash(FORMAT)
    if recipe.base != SCRATCH:
        key = _hash(key, base_key)
        layers.append(PlannedLayer(key, None))
    for step in recipe.steps:
        key = _hash(key, repr(step.action), *_inputs(step, contexts), *_environment(step))
        layers.append(PlannedLayer(key, step))
    return Plan(recipe, tuple(layers), _hash(key, repr(recipe.settings)))


def context_of(name: str, contexts: Mapping[str, Context]) -> Context:
    """The context called `name`; raises `ImageError` when the image has none of that name."""
    if name not in contexts:
        raise ImageError(f"there is no build context {name!r}; there are {', '.join(sorted(contexts))}")
    return contexts[name]


def _inputs(step: Step, contexts: Mapping[str, Context]) -> list[str]:
    action = step.action
    if isinstance(action, Copy):
        return [context_of(action.origin, contexts).fingerprint(source) for source in action.sources]
    return [context_of(mount.origin, contexts).fingerprint(mount.source) for mount in action.mounts]


def _environment(step: Step) -> tuple[str, ...]:
    """What a program sees of the settings; files that are copied see nothing."""
    return () if isinstance(step.action, Copy) else (*step.settings.env, step.settings.workdir)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
