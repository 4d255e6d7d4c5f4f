"""Compute the name of a cache, a hash of the inputs of its content and of the claim's immutable fields.

Pure. Input: a deployment. Output: the claim's name and the hash of the Job's inputs. The hashes do not depend on the
operator's version, so a newer operator finds the caches that an older one has filled.
"""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.names import cache_name, content_hash
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.struct import Struct
from triton_operator.resources.container_resources import explicit_job_resources
from triton_operator.resources.sources import cached_sources


class _CacheInputs(Struct, frozen=True):
    """The inputs of a claim and its content. Members may be added; never remove one or change its default."""

    sources: Any
    models: Any
    size: Any
    storage_class_name: Any
    access_modes: Any


class _JobInputs(Struct, frozen=True):
    """The other inputs of a Job, which a user may have to correct; the same rule applies to members."""

    access: Any
    image_pull_secrets: Any
    scheduling: Any
    resources: Any = None
    verification: Any = None
    pod_labels: Any = None
    pod_annotations: Any = None
    account: Any = None
    image_pull_policy: Any = None
    dns_config: Any = None
    host_aliases: Any = None
    http_proxy: Any = None


def claim_name(deployment: ModelDeployment) -> str:
    """Name of the cache that this spec requests; "" without a cache."""
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
    """Hash of the inputs of a Job, other than the content; after a change, a failed Job is created again."""
    repositories = [source.repository for source in cached_sources(spec)]
    inputs = _JobInputs(
        access=[(each.credentials_secret_ref, each.ca_bundle_config_map_ref) for each in repositories],
        image_pull_secrets=spec.image_pull_secrets,
        scheduling=spec.scheduling,
        resources=explicit_job_resources(spec),
        verification=spec.verification,
        pod_labels=spec.pod_labels or None,
        pod_annotations=spec.pod_annotations or None,
        account=spec.service_account.name,
        image_pull_policy=spec.image_pull_policy,
        dns_config=spec.dns_config,
        host_aliases=spec.host_aliases or None,
        http_proxy=spec.prepare.http_proxy,
    )
    return content_hash(msgspec.json.encode(inputs, order="sorted"), 10)
