"""The PersistentVolumeClaim of a cache. The deployment owns it, so it is deleted with the deployment."""

from __future__ import annotations

from triton_operator.api.cache import AccessMode, Cache
from triton_operator.api.names import ANNOTATION_FILLED, COMPONENT_CACHE, LABEL_COMPONENT
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata

DEFAULT_ACCESS = (AccessMode.READ_WRITE_ONCE,)


def build_claim(deployment: ModelDeployment, name: str, cache: Cache, size: str, *, filled: bool) -> Manifest:
    """The claim `name` of `size`; `filled` adds the annotation that prevents the Job from running again."""
    metadata = child_metadata(deployment, name, {LABEL_COMPONENT: COMPONENT_CACHE})
    if filled:
        metadata["annotations"] = {ANNOTATION_FILLED: "true"}
    spec: Manifest = {
        "accessModes": list(cache.access_modes or DEFAULT_ACCESS),
        "resources": {"requests": {"storage": size}},
        "volumeMode": "Filesystem",
    }
    if cache.storage_class_name is not None:
        spec["storageClassName"] = cache.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
