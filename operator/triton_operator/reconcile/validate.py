"""Checks of a spec that the CRD also has.

Pure. The API server rejects all of this for objects written with the current CRD, but objects that were stored under an
older CRD still reach the operator.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.names import wrong_model_name
from triton_operator.api.privacy import TLSMode
from triton_operator.api.quantity import parse_bytes
from triton_operator.api.repository import ModelRepository
from triton_operator.api.serving_names import is_reserved
from triton_operator.api.spec import Spec
from triton_operator.reconcile.autoscaling_rules import check_autoscaling
from triton_operator.reconcile.exposure_rules import check_exposure
from triton_operator.reconcile.gpu_rules import check_gpu
from triton_operator.reconcile.service_rules import check_service
from triton_operator.reconcile.validate_rollout import validate_rollout
from triton_operator.resources.fetch_proxy import find_proxy_problems
from triton_operator.resources.pod_metadata import find_metadata_problems
from triton_operator.resources.pod_settings import find_account_problems
from triton_operator.resources.pod_template.check import find_template_problems
from triton_operator.resources.termination import termination
from triton_operator.resources.tls import needs_proxy, terminates_tls, tls_mode
from triton_operator.resources.user_environment import find_environment_problems
from triton_operator.triton.server.versions import parse


def validate(spec: Spec, name: str = "", namespace: str = "") -> None:
    """Raise InvalidSpecError for the first thing that is wrong; `name` and `namespace` are those of the object."""
    _make_sure_model_names_are_unique(spec)
    for path, repository in _repositories(spec):
        _make_sure_there_is_one_source(path, repository)
        _make_sure_fetching_is_allowed(path, repository, spec)
    _make_sure_the_cache_is_used(spec)
    _make_sure_the_proxy_can_be_used(spec)
    _make_sure_paths_stay_inside(spec)
    check_autoscaling(spec, (namespace, name))
    _make_sure_the_version_is_a_release(spec)
    _make_sure_there_is_one_key(spec)
    _make_sure_the_plaintext_fits(spec)
    _make_sure_callers_are_enforced(spec)
    _make_sure_there_is_an_issuer(spec)
    _make_sure_hostnames_are_not_those_of_services(spec)
    check_service(spec.service)
    check_exposure(spec, name)
    termination(spec)
    check_gpu(spec)
    _make_sure_pods_are_not_weakened(spec, name)
    validate_rollout(spec)


def _repositories(spec: Spec) -> Iterator[tuple[str, ModelRepository]]:
    """(field, repository) of the shared repository and of each model's own."""
    if spec.model_repository:
        yield "spec.modelRepository", spec.model_repository
    elif any(model.model_repository is None for model in spec.models):
        message = "is required unless every model has a modelRepository of its own"
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.modelRepository", message)
    for index, model in enumerate(spec.models):
        if model.model_repository:
            yield f"spec.models[{index}].modelRepository", model.model_repository


def _make_sure_there_is_one_source(path: str, repository: ModelRepository) -> None:
    sources = [repository.image, repository.pvc, repository.s3, repository.http]
    if sum(source is not None for source in sources) != 1:
        raise InvalidSpecError(Reason.INVALID_SPEC, path, "set exactly one of image, pvc, s3 and http")


def _make_sure_fetching_is_allowed(path: str, repository: ModelRepository, spec: Spec) -> None:
    if repository.fetched and spec.privacy.profile.is_private and spec.cache is None:
        message = "s3 and http require spec.cache, because only the profile Open allows connections from serving pods"
        raise InvalidSpecError(Reason.INVALID_SPEC, path, message)


def _make_sure_the_cache_is_used(spec: Spec) -> None:
    if spec.cache and not any(repository.fetched for _, repository in _repositories(spec)):
        message = "has no effect, because no repository is s3 or http; remove it"
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.cache", message)


def _make_sure_the_proxy_can_be_used(spec: Spec) -> None:
    fetches = any(repository.fetched for _, repository in _repositories(spec))
    if problems := list(find_proxy_problems(spec, fetches=fetches)):
        raise InvalidSpecError.of(problems)


def _make_sure_model_names_are_unique(spec: Spec) -> None:
    if not spec.models:
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.models", "at least one model is required")
    seen: set[str] = set()
    for index, model in enumerate(spec.models):
        if problem := wrong_model_name(model.name):
            raise InvalidSpecError(Reason.INVALID_SPEC, f"spec.models[{index}].name", f"{model.name!r}: {problem}")
        if model.name in seen:
            message = f"{model.name} is used twice"
            raise InvalidSpecError(Reason.INVALID_SPEC, f"spec.models[{index}].name", message)
        seen.add(model.name)


def _make_sure_paths_stay_inside(spec: Spec) -> None:
    paths = {f"spec.models[{index}].path": model.path for index, model in enumerate(spec.models)}
    for place, repository in _repositories(spec):
        paths[f"{place}.image.path"] = repository.image.path if repository.image else None
        paths[f"{place}.pvc.path"] = repository.pvc.path if repository.pvc else None
        paths[f"{place}.s3.prefix"] = repository.s3.prefix if repository.s3 else None
    for field, path in paths.items():
        if path and ".." in path.split("/"):
            raise InvalidSpecError(Reason.INVALID_SPEC, field, f"{path!r} points outside the repository; remove '..'")


def _make_sure_the_version_is_a_release(spec: Spec) -> None:
    if spec.triton.version is None:
        return
    try:
        parse(spec.triton.version)
    except ValueError as error:
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.triton.version", str(error)) from error


def _make_sure_there_is_an_issuer(spec: Spec) -> None:
    if spec.privacy.tls.mode is TLSMode.CERT_MANAGER and spec.privacy.tls.cert_manager is None:
        path = "spec.privacy.tls.certManager"
        raise InvalidSpecError(Reason.INVALID_SPEC, path, "is required with the mode CertManager")


def _make_sure_there_is_one_key(spec: Spec) -> None:
    if spec.decryption is None:
        return
    vault = spec.decryption.vault
    if (spec.decryption.secret_ref is None) == (vault is None):
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.decryption", "set exactly one of secretRef and vault")
    if vault and spec.privacy.profile.is_private and not vault.egress.to:
        message = "is required, because only the profile Open allows other connections from serving pods"
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.decryption.vault.egress.to", message)


def _make_sure_the_plaintext_fits(spec: Spec) -> None:
    """The volume in memory counts towards the limit of each container that uses it."""
    if spec.decryption is None:
        return
    own = spec.resources.limits.get("memory")
    limits = {"Triton (resources.limits)": own}
    if "memory" in spec.prepare.resources.limits:
        limits["prepare (prepare.resources.limits)"] = spec.prepare.resources.limits["memory"]
    needed = parse_bytes(spec.decryption.memory) or 0
    for container, limit in limits.items():
        if limit is None or (parse_bytes(str(limit)) or 0) <= needed:
            message = (
                f"must be less than the memory limit of {container}, because the decrypted models are in memory: "
                f"{spec.decryption.memory} of {limit or 'no limit'}"
            )
            raise InvalidSpecError(Reason.INVALID_SPEC, "spec.decryption.memory", message)


def _make_sure_callers_are_enforced(spec: Spec) -> None:
    """The CRD has this rule for a mode that is set; the default of the profile is the operator's."""
    if needs_proxy(spec) and not terminates_tls(spec):
        field = "clients" if spec.privacy.clients is not None else "audit"
        message = "requires spec.privacy.tls.mode Managed, Secret or CertManager, because the proxy enforces it"
        raise InvalidSpecError(Reason.INVALID_SPEC, f"spec.privacy.{field}", message)


def _make_sure_hostnames_are_not_those_of_services(spec: Spec) -> None:
    """Otherwise the certificate would be valid for another deployment, whose clients trust the same authority."""
    for index, hostname in enumerate(spec.service.hostnames):
        if tls_mode(spec) in {TLSMode.MANAGED, TLSMode.CERT_MANAGER} and is_reserved(hostname):
            path = f"spec.service.hostnames[{index}]"
            message = f"{hostname} can be the name of a Service; use at least three labels, none of which is svc"
            raise InvalidSpecError(Reason.INVALID_SPEC, path, message)


def _make_sure_pods_are_not_weakened(spec: Spec, name: str) -> None:
    """All mistakes in fields that are copied into the pods, at once."""
    problems = [
        *find_environment_problems(spec, name),
        *find_metadata_problems(spec),
        *find_account_problems(spec, name),
        *find_template_problems(spec, name),
    ]
    if problems:
        raise InvalidSpecError.of(problems)
