"""The Job that fills a cache's claim: it runs `prepare --fetch-only`.

Errors that a user must fix end it at once; other errors are retried with increasing delays. `reconcile` decides whether
and when a failed Job is created again. Every security-relevant field is set explicitly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from triton_operator.api.names import (
    ANNOTATION_PREPARATION,
    ANNOTATION_RECIPE,
    COMPONENT_CACHE,
    CONTAINER_PREPARE,
    LABEL_COMPONENT,
    child_labels,
)
from triton_operator.api.spec import ModelDeployment, Scheduling, Spec
from triton_operator.resources.container_resources import job_resources
from triton_operator.resources.fetch_proxy import fetch_proxy, proxy_credentials_mounts, proxy_credentials_volumes
from triton_operator.resources.isolation import SERVER_UID, isolated_pod, with_ids_of
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.pod import prepare_container, scheduling_fields
from triton_operator.resources.pod_metadata import pod_metadata
from triton_operator.resources.settings import Settings
from triton_operator.resources.signing_keys import checks_signatures, key_sources, signature_check
from triton_operator.resources.sources import (
    CACHE_VOLUME,
    RepositorySource,
    access_mounts,
    access_volumes,
    build_download,
    cached_sources,
)
from triton_operator.triton.prepare_contract import request as layout
from triton_operator.triton.prepare_contract.outcome import MISTAKE

ATTEMPTS = 6
"""Retries of one Job, with the Job controller's delays of 10, 20, 40 seconds and so on: ten minutes in total."""

GRACE_SECONDS = 5
"""Downloads can be resumed after any termination, so the pod does not need more time."""


def build_cache_job(deployment: ModelDeployment, name: str, recipe: str, settings: Settings) -> Manifest:
    """The Job `name`, which fills the claim of the same name; an annotation stores `recipe`.

    The Job has no deadline, because a large repository on a slow connection may take a day. It has no time to live,
    because `reconcile` deletes it after it has annotated the claim as filled.
    """
    metadata = child_metadata(deployment, name, {LABEL_COMPONENT: COMPONENT_CACHE})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata | {"annotations": {ANNOTATION_RECIPE: recipe}},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": ATTEMPTS,
            "podFailurePolicy": {"rules": _failure_rules()},
            # Two pods must never write to the same claim.
            "podReplacementPolicy": "Failed",
            "template": _template(deployment, name, settings),
        },
    }


def _failure_rules() -> list[Manifest]:
    """An error that a retry cannot fix fails the Job; a disrupted pod (eviction, preemption) does not count."""
    mistake = {"containerName": CONTAINER_PREPARE, "operator": "In", "values": [MISTAKE]}
    return [
        {"action": "FailJob", "onExitCodes": mistake},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _template(deployment: ModelDeployment, name: str, settings: Settings) -> Manifest:
    labels = child_labels(deployment.metadata.name) | {LABEL_COMPONENT: COMPONENT_CACHE}
    return {
        "metadata": pod_metadata(deployment.spec, labels, {ANNOTATION_PREPARATION: _preparation(deployment.spec)}),
        "spec": _pod_spec(deployment, name, settings),
    }


def _preparation(spec: Spec) -> str:
    sources = cached_sources(spec)
    request = layout.Preparation(
        models=tuple(_verified_models(spec, sources)) if checks_signatures(spec) else (),
        downloads=tuple(build_download(spec, source, _target(source)) for source in sources),
        verification=signature_check(spec),
        proxy=fetch_proxy(spec),
    )
    return layout.encode(request).decode()


def _verified_models(spec: Spec, sources: Sequence[RepositorySource]) -> Iterator[layout.PreparationModel]:
    """The models whose signatures the Job checks, in the folders to which it fetches them."""
    for model in spec.models:
        for source in sources:
            if source.repository == (model.model_repository or spec.model_repository):
                yield layout.PreparationModel(name=model.name, path=model.folder, source=_target(source))


def _target(source: RepositorySource) -> str:
    return f"{layout.CACHE_DIR}/{source.name}"


def _pod_spec(deployment: ModelDeployment, name: str, settings: Settings) -> Manifest:
    spec, isolated = deployment.spec, isolated_pod(deployment)
    pod: Manifest = {
        "restartPolicy": "Never",
        # A new volume belongs to root; serving pods read the files of this group.
        "securityContext": isolated["securityContext"]
        | {"fsGroup": SERVER_UID, "fsGroupChangePolicy": "OnRootMismatch"},
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [_container(spec, settings)],
        "volumes": [
            {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": name, "readOnly": False}},
            {"name": "config"} | _config_volume(spec),
            *(volume for source in cached_sources(spec) for volume in access_volumes(source)),
            *proxy_credentials_volumes(spec),
        ],
    }
    return with_ids_of(isolated | pod | scheduling_fields(_node_scheduling(spec)), settings.pod_user_ids)


def _container(spec: Spec, settings: Settings) -> Manifest:
    mounts: list[Manifest] = [
        {"name": CACHE_VOLUME, "mountPath": layout.CACHE_DIR},
        {"name": "config", "mountPath": layout.CONFIG_DIR, "readOnly": True},
        *(mount for source in cached_sources(spec) for mount in access_mounts(source)),
        *proxy_credentials_mounts(spec),
    ]
    resources = job_resources(spec)
    return prepare_container(spec, settings.operator_image, "--fetch-only", resources=resources, mounts=mounts)


def _config_volume(spec: Spec) -> Manifest:
    preparation = {"items": [_preparation_file()]}
    if keys := key_sources(spec):
        return {"projected": {"sources": [{"downwardAPI": preparation}, *keys]}}
    return {"downwardAPI": preparation}


def _preparation_file() -> Manifest:
    """The list of downloads, as a file from the pod's annotation, so it needs no separate object."""
    return {
        "path": layout.CONFIG_FILE,
        "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{ANNOTATION_PREPARATION}']"},
    }


def _node_scheduling(spec: Spec) -> Scheduling:
    """Select the nodes of the serving pods, because many volumes are bound to the zone or node of their first pod.

    Spread constraints of the serving pods and the runtime class, which only a GPU needs, are omitted.
    """
    node_affinity = (spec.scheduling.affinity or {}).get("nodeAffinity")
    return msgspec.structs.replace(
        spec.scheduling,
        affinity={"nodeAffinity": node_affinity} if node_affinity else None,
        topology_spread_constraints=None,
        runtime_class_name=None,
    )
