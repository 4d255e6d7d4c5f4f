"""The volume in which `prepare` lays out the models for Triton: links, or copies of files that others can change.

Pure. `revision` lists the models to copy for `prepare`, and `pod` sizes the volume for the copies.
"""

from __future__ import annotations

from triton_operator.api.model import Model
from triton_operator.api.scan import Scan
from triton_operator.api.spec import Spec
from triton_operator.resources.container_resources import scratch_limit
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.scan_mode import scan_mode
from triton_operator.resources.signing_keys import is_writable


def is_copied(spec: Spec, model: Model) -> bool:
    """Whether others could write to the model after its digest is checked, or after a scan that can refuse it."""
    repository = model.model_repository or spec.model_repository
    if model.digest is not None and repository is not None and repository.pvc is not None:
        return True
    return scan_mode(spec) is Scan.REFUSE and is_writable(spec, model)


def models_volume(spec: Spec) -> Manifest:
    """The volume `models`: small for links and configurations; the size of copies is unknown here."""
    if any(is_copied(spec, model) for model in spec.models):
        return {"emptyDir": {"sizeLimit": scratch_limit(spec)}}
    return {"emptyDir": {"sizeLimit": "16Mi"}}
