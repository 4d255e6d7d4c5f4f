"""The keys of `spec.verification` in the pods that read models, and the volume for copies of verified models.

Pure. `revision` and `cache_job` write the list of keys into the request to `prepare`. Public keys are part of that
list; those in a user's ConfigMap are files next to it, because the operator does not read the ConfigMap. `prepare`
copies models from sources that others can change, and Triton reads the copies.
"""

from __future__ import annotations

from triton_operator.api.model import Model
from triton_operator.api.spec import Spec
from triton_operator.api.verification import SigningKey
from triton_operator.resources.container_resources import scratch_limit
from triton_operator.resources.metadata import Manifest
from triton_operator.triton.prepare_contract.request import VERIFIED_DIR, KeyFile, SignatureCheck

_VOLUME = "verified"


def signature_check(spec: Spec) -> SignatureCheck | None:
    """The keys for `prepare`; None if signatures are not checked."""
    if spec.verification is None or not checks_signatures(spec):
        return None
    keys = tuple(_key_file(index, key) for index, key in enumerate(spec.verification.keys))
    return SignatureCheck(keys, spec.verification.require)


def checks_signatures(spec: Spec) -> bool:
    """Whether the spec has keys that verify the models."""
    return bool(spec.verification and spec.verification.keys)


def key_sources(spec: Spec) -> list[Manifest]:
    """Sources of the projected volume at CONFIG_DIR: the ConfigMaps with keys.

    They are optional, because `prepare` reports a missing one with its key, which the kubelet does not.
    """
    found: list[Manifest] = []
    for index, key in enumerate(spec.verification.keys if spec.verification else ()):
        if reference := key.config_map_ref:
            items = [{"key": reference.key, "path": _file_name(index)}]
            found.append({"configMap": {"name": reference.name, "items": items, "optional": True}})
    return found


def is_writable(spec: Spec, model: Model) -> bool:
    """Whether others can change the model's files while the pod runs: those in a claim of the user or of the cache."""
    repository = model.model_repository or spec.model_repository
    return repository is not None and (repository.pvc is not None or (spec.cache is not None and repository.fetched))


def verified_volumes(spec: Spec) -> list[Manifest]:
    """The volume for copies of verified models, if there are any; their size is unknown here."""
    if not _has_copies(spec):
        return []
    return [{"name": _VOLUME, "emptyDir": {"sizeLimit": scratch_limit(spec)}}]


def verified_mounts(spec: Spec, *, read_only: bool) -> list[Manifest]:
    """The mount of this volume; only `prepare` writes to it."""
    if not _has_copies(spec):
        return []
    return [{"name": _VOLUME, "mountPath": VERIFIED_DIR} | ({"readOnly": True} if read_only else {})]


def _has_copies(spec: Spec) -> bool:
    return checks_signatures(spec) and any(is_writable(spec, model) for model in spec.models)


def _key_file(index: int, key: SigningKey) -> KeyFile:
    if reference := key.config_map_ref:
        return KeyFile(key.name, file=_file_name(index), config_map=reference.name, config_key=reference.key)
    return KeyFile(key.name, public_key=key.public_key or "")


def _file_name(index: int) -> str:
    return f"signer-{index}.pem"
