"""What the API server's schema and CEL rules cannot refuse.

Pure. The API server refuses all of this for objects written with the current CRD; objects that were stored before a
rule existed, or under an older CRD, reach the operator all the same.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpec
from triton_operator.api.spec import Spec
from triton_operator.triton.versions import parse


def validate(spec: Spec) -> None:
    """Raise InvalidSpec for the first thing that is wrong."""
    _make_sure_there_is_one_source(spec)
    _make_sure_models_are_named_once(spec)
    _make_sure_paths_stay_inside(spec)
    _make_sure_bounds_are_in_order(spec)
    _make_sure_the_version_is_a_release(spec)


def _make_sure_there_is_one_source(spec: Spec) -> None:
    sources = [spec.model_repository.image, spec.model_repository.pvc]
    if sum(source is not None for source in sources) != 1:
        raise InvalidSpec(Reason.INVALID_SPEC, "spec.modelRepository", "set exactly one of image and pvc")


def _make_sure_models_are_named_once(spec: Spec) -> None:
    if not spec.models:
        raise InvalidSpec(Reason.INVALID_SPEC, "spec.models", "name at least one model")
    seen: set[str] = set()
    for index, model in enumerate(spec.models):
        if model.name in seen:
            message = f"{model.name} is named twice"
            raise InvalidSpec(Reason.INVALID_SPEC, f"spec.models[{index}].name", message)
        seen.add(model.name)


def _make_sure_paths_stay_inside(spec: Spec) -> None:
    paths = {f"spec.models[{index}].path": model.path for index, model in enumerate(spec.models)}
    if spec.model_repository.image:
        paths["spec.modelRepository.image.path"] = spec.model_repository.image.path
    if spec.model_repository.pvc:
        paths["spec.modelRepository.pvc.path"] = spec.model_repository.pvc.path
    for field, path in paths.items():
        if path and ".." in PurePosixPath(path).parts:
            raise InvalidSpec(Reason.INVALID_SPEC, field, f"{path!r} leads out of the repository; remove '..'")


def _make_sure_bounds_are_in_order(spec: Spec) -> None:
    bounds = spec.autoscaling
    if bounds and bounds.max_replicas < bounds.min_replicas:
        message = f"{bounds.max_replicas} is less than minReplicas {bounds.min_replicas}"
        raise InvalidSpec(Reason.INVALID_SPEC, "spec.autoscaling.maxReplicas", message)


def _make_sure_the_version_is_a_release(spec: Spec) -> None:
    if spec.triton.version is None:
        return
    try:
        parse(spec.triton.version)
    except ValueError as error:
        raise InvalidSpec(Reason.INVALID_SPEC, "spec.triton.version", str(error)) from error
