"""The name of a cache: a hash of everything that determines its content, and of the claim's immutable fields.

Pure. The hashes are the same for every operator, so a newer one finds what an older one has filled.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.names import cache_name, content_hash
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.struct import Struct
from triton_operator.resources.container_resources import job_resources_said
from triton_operator.resources.sources import cached_sources


class _CacheInputs(Struct, frozen=True):
    """What determines a claim and its content; members may be added, but never removed or given another default."""

    sources: Any
    models: Any
    size: Any
    storage_class_name: Any
    access_modes: Any


class _JobInputs(Struct, frozen=True):
    """What else determines a Job, and a user may have to correct; the rule for members is the same."""

    access: Any
    image_pull_secrets: Any
    scheduling: Any
    resources: Any = None


def claim_name(deployment: ModelDeployment) -> str:
    """Name of the cache that this spec requests, "" if it requests none."""
    spec = deployment.spec
    if spec.cache is None:
        return ""
    content = _CacheInputs(
        sources=[(source.repository.s3, source.repository.http) for source in cached_sources(spec)],
        models=[(model.folder, model.digest) for model in spec.models],
        size=spec.cache.size,
        storage_class_name=spec.cache.storage_class_name,
        access_modes=spec.cache.access_modes,
    )
    return cache_name(deployment.metadata.name, msgspec.json.encode(content, order="sorted"))


def recipe(spec: Spec) -> str:
    """Hash of what a Job depends on besides the content; after a change, the Job is tried again."""
    repositories = [source.repository for source in cached_sources(spec)]
    made_from = _JobInputs(
        access=[(each.credentials_secret_ref, each.ca_bundle_config_map_ref) for each in repositories],
        image_pull_secrets=spec.image_pull_secrets,
        scheduling=spec.scheduling,
        resources=job_resources_said(spec),
    )
    return content_hash(msgspec.json.encode(made_from, order="sorted"), 10)
