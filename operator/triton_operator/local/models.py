"""Stage the models of a deployment for a server on this machine, as in a pod.

Input: a deployment, the local folder that replaces its model repository, and the keys of encrypted models. Output: the
model tree that Triton reads. The operator's rendering supplies the configurations, and `prepare` finds, decrypts,
checks, completes and stages the models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from triton_operator.api.model import Format
from triton_operator.api.quantity import MI
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.local.errors import LocalError, UnsupportedMachineError
from triton_operator.local.folders import SHARED_MEMORY
from triton_operator.local.plaintext import Plaintext
from triton_operator.prepare.errors import PlaintextTooLargeError, PrepareError
from triton_operator.prepare.steps import Folders, prepare
from triton_operator.resources.revision import render_revision
from triton_operator.resources.settings import Accelerator, CatalogueImage, Settings
from triton_operator.resources.sources import RepositorySource, sources_of
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND, CONFIG_NAME
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.prepare_contract import request as preparation
from triton_operator.triton.prepare_contract.outcome import PreparedModel
from triton_operator.triton.prepare_contract.request import Preparation
from triton_operator.triton.text.parser import parse
from triton_operator.triton.text.values import entries_in

RELEASE = "24.10"
"""NVIDIA's release of Triton 2.51, the server in `cpu_server`."""

_PACKED_ENVIRONMENT = "EXECUTION_ENV_PATH"
"""Parameter of models of the Python backend (`src/pb_env.cc`)."""

_SERVER = CatalogueImage(
    image="the Triton of this machine",
    version=RELEASE,
    backends=("pytorch", "python", AOT_INDUCTOR_BACKEND),
    accelerator=Accelerator.CPU,
    default=True,
)
SETTINGS = Settings(operator_image="", images=(_SERVER,))


class StagedModels(NamedTuple):
    """The model tree that Triton reads, and the models in it."""

    tree: Path
    models: tuple[PreparedModel, ...]


def adapt(deployment: ModelDeployment, cpus: int = 0) -> tuple[ModelDeployment, list[str]]:
    """Adapt the deployment to this machine; returns it with a message for each difference from a cluster.

    `cpus` replaces the CPU limit; 0 keeps the limit of the spec, if any.
    """
    spec, notes = deployment.spec, []
    if spec.gpu:
        notes.append("spec.gpu: served on the CPU; models with KIND_GPU in their configuration fail to load")
    if spec.triton.image or spec.triton.version not in {None, RELEASE}:
        requested = spec.triton.image or spec.triton.version
        notes.append(f"spec.triton: served by Triton {RELEASE} on this machine instead of {requested}")
    triton = msgspec.structs.replace(spec.triton, image=None, version=None)
    adapted = msgspec.structs.replace(spec, gpu=None, cache=None, triton=triton)
    if cpus:
        limits = msgspec.structs.replace(spec.resources, limits={**spec.resources.limits, "cpu": str(cpus)})
        adapted = msgspec.structs.replace(adapted, resources=limits)
    return msgspec.structs.replace(deployment, spec=adapted), notes


def find_repository(spec: Spec, candidates: Sequence[Path]) -> Path | None:
    """The first of these folders that contains every model from an image or a volume; None if there is none."""
    return next((folder for folder in candidates if folder.is_dir() and _has_models(spec, folder)), None)


def needs_folder(spec: Spec) -> bool:
    """Whether any model comes from an image or a volume, which only a cluster can mount."""
    return any(not source.repository.fetched for source in sources_of(spec))


def stage_models(
    deployment: ModelDeployment, folder: Path | None, run: Path, cache: Path, plaintext: Plaintext | None = None
) -> StagedModels:
    """Prepare the models in `run`; `folder`, if set, replaces every repository, and `cache` keeps downloads.

    `plaintext` is required if the deployment has encrypted models: all files with decrypted content are written there.
    Raises InvalidSpecError, UnsupportedMachineError for a source that only a cluster can mount, and LocalError with the
    message of `prepare`.
    """
    folders = _source_folders(deployment.spec, folder, cache)
    config = run / "config"
    config.mkdir()
    writable = _writable_folders(run, plaintext)
    rendered = render_revision(deployment, [], SETTINGS).config
    pod_request = preparation.decode(rendered.pop(preparation.CONFIG_FILE).encode())
    local_request = _with_local_paths(pod_request, folders, fetch=folder is None)
    (config / preparation.CONFIG_FILE).write_bytes(preparation.encode(local_request))
    for name, text in rendered.items():
        (config / name).write_text(text, encoding="utf-8")
    common = folders.get(preparation.SOURCE_DIR, run)
    try:
        keyset_of = plaintext.keyset_of if plaintext else None
        prepared = prepare(config / preparation.CONFIG_FILE, common, writable, keyset_of)
    except PrepareError as error:
        raise _local_error(error) from error
    for model in prepared.models:
        if (writable.plaintext / model.name).exists():
            _require_no_packed_environment(model.name, writable.models / model.name / CONFIG_NAME)
    return StagedModels(writable.models, prepared.models)


def _writable_folders(run: Path, plaintext: Plaintext | None) -> Folders:
    """Create the folders of this run, `tmp` included; those for files with parts of encrypted models are in memory."""
    memory = plaintext.folder if plaintext else run
    folders = Folders(memory / "models", run / "verified", memory / "plaintext")
    for each in (folders.models, folders.verified, folders.plaintext, memory / "tmp"):
        each.mkdir()
    if plaintext:
        (run / "tmp").symlink_to(memory / "tmp")
    return folders


def _require_no_packed_environment(model: str, config: Path) -> None:
    """Triton unpacks a Python environment of a model to /tmp, whatever TMPDIR is, and /tmp may be on a disk."""
    if config.exists() and _PACKED_ENVIRONMENT in entries_in(parse(read_config_text(config)), "parameters"):
        raise LocalError(
            f'model "{model}": {_PACKED_ENVIRONMENT}: Triton would unpack a part of the encrypted model to /tmp; '
            "remove the parameter, or serve the model in a cluster, where /tmp is in memory"
        )


def _local_error(error: PrepareError) -> LocalError:
    """The message of `prepare`, but with the memory of this machine instead of the pod's volume."""
    prefix = f'model "{error.model}": ' if error.model else ""
    if not isinstance(error, PlaintextTooLargeError):
        return LocalError(f"{error.reason}: {prefix}{error}")
    return LocalError(
        f"{error.reason}: the decrypted models need {error.needed / MI:,.1f} MiB, but {SHARED_MEMORY} has "
        f"{error.free / MI:,.1f} MiB free; remove files from it or increase its size (mount -o remount,size=SIZE "
        f"{SHARED_MEMORY}; for a container, docker run --shm-size)"
    )


def _source_folders(spec: Spec, folder: Path | None, cache: Path) -> dict[str, Path]:
    """The local folder of each source, by its mount point in a pod."""
    return {source.mount: folder or _download_folder(source, cache) for source in sources_of(spec)}


def _download_folder(source: RepositorySource, cache: Path) -> Path:
    repository = source.repository
    if not repository.fetched:
        kind = "a container image" if repository.image else "a volume of the cluster"
        raise UnsupportedMachineError(
            f"the models are in {kind}, which only a cluster can mount; specify their local folder with "
            "--repository DIR"
        )
    if repository.credentials_secret_ref or repository.ca_bundle_config_map_ref:
        raise UnsupportedMachineError(
            "the models' source requires a Secret or a ConfigMap of the cluster; download the models and specify "
            "their folder with --repository DIR"
        )
    folder = cache / "sources" / _hash(repository)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash(repository: ModelRepository) -> str:
    return hashlib.sha256(msgspec.json.encode(repository, order="sorted")).hexdigest()[:12]


def _with_local_paths(request: Preparation, folders: Mapping[str, Path], *, fetch: bool) -> Preparation:
    """The same request with the paths of this machine, and with the keys of its user."""
    models = tuple(
        msgspec.structs.replace(model, source=str(folders[model.source]) if model.source else "")
        for model in request.models
    )
    downloads = tuple(
        msgspec.structs.replace(download, target=str(folders[download.target])) for download in request.downloads
    )
    return msgspec.structs.replace(request, models=models, downloads=downloads if fetch else (), vault=None)


def _has_models(spec: Spec, folder: Path) -> bool:
    """Whether the folder contains all models; an ensemble needs none if its configuration is in the spec."""
    found = [
        (folder / repository.path.strip("/") / model.folder).is_dir()
        for model in spec.models
        if (repository := model.model_repository or spec.model_repository)
        and not (repository.fetched or model.format is Format.ENSEMBLE)
    ]
    return bool(found) and all(found)
