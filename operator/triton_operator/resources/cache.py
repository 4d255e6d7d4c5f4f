"""The cache of a deployment: a claim and, until it is filled, a Job with its NetworkPolicy.

Pure. One claim is one generation: new content gets a new claim next to the old one, from which older pods continue to
serve. `reconcile` decides when a generation is filled or abandoned.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.cache_claim import build_claim
from triton_operator.resources.cache_content import claim_name, recipe
from triton_operator.resources.cache_job import build_cache_job
from triton_operator.resources.cache_policy import build_cache_policy
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.settings import Settings


class Generation(NamedTuple):
    """The desired state of the children of one cache, all of which have its name.

    `filled` sets the annotation on the claim. `size` is the claim's requested size, which does not change once the
    claim exists. `job` is whether the Job should exist.
    """

    name: str
    filled: bool
    size: str
    job: bool


def first_generation(deployment: ModelDeployment) -> Generation:
    """The generation of a new cache."""
    cache = deployment.spec.cache
    return Generation(claim_name(deployment), filled=False, size=cache.size if cache else "", job=True)


def build_cache(deployment: ModelDeployment, generation: Generation, settings: Settings) -> list[Manifest]:
    """The children of the cache in the order of creation; the policy comes first. Empty without `spec.cache`."""
    spec = deployment.spec
    if spec.cache is None:
        return []
    children = [build_claim(deployment, generation.name, spec.cache, generation.size, filled=generation.filled)]
    if generation.job:
        if spec.privacy.profile.is_private:
            children.append(build_cache_policy(deployment, generation.name, spec.cache))
        children.append(build_cache_job(deployment, generation.name, recipe(spec), settings))
    return children
