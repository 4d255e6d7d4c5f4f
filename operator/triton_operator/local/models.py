"""The models of a deployment, rendered and laid out for a server on this machine as a pod's are.

Input: a deployment, and the folder that stands for its model repository. Output: the tree that Triton reads. The
configurations are the operator's rendering, and `prepare` itself finds, checks,
completes and lays out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from triton_operator.api.model import Format
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.local.errors import LocalError, UnsupportedMachineError
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.steps import prepare
from triton_operator.resources.revision import render_revision
from triton_operator.resources.settings import Accelerator, CatalogueImage, Settings
from triton_operator.resources.sources import RepositorySource, sources_of
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND
from triton_operator.triton.prepare_contract import request as preparation
from triton_operator.triton.prepare_contract.outcome import PreparedModel
from triton_operator.triton.prepare_contract.request import Preparation

RELEASE = "24.10"
"""NVIDIA's release of the server in `cpu_server`, 2.51."""

_SERVER = CatalogueImage(
    image="the Triton of this machine",
    version=RELEASE,
    backends=("pytorch", "python", AOT_INDUCTOR_BACKEND),
    accelerator=Accelerator.CPU,
    default=True,
)
SETTINGS = Settings(operator_image="", images=(_SERVER,))


class Laid(NamedTuple):
    """What is ready to be served: the tree, and the models in it."""

    tree: Path
    models: tuple[PreparedModel, ...]


def adapt(deployment: ModelDeployment, cpus: int = 0) -> tuple[ModelDeployment, list[str]]:
    """The deployment as this machine can serve it, and a sentence for each thing that differs from a cluster.

    `cpus` stands for its limit on CPUs, 0 leaves the one that it has or has not.
    """
    spec, notes = deployment.spec, []
    if spec.gpu:
        notes.append("spec.gpu: served on the CPU; models that ask for KIND_GPU in their configuration do not load")
    if spec.triton.image or spec.triton.version not in {None, RELEASE}:
        asked = spec.triton.image or spec.triton.version
        notes.append(f"spec.triton: served by the Triton {RELEASE} of this machine, not by {asked}")
    triton = msgspec.structs.replace(spec.triton, image=None, version=None)
    adapted = msgspec.structs.replace(spec, gpu=None, cache=None, triton=triton)
    if cpus:
        limits = msgspec.structs.replace(spec.resources, limits={**spec.resources.limits, "cpu": str(cpus)})
        adapted = msgspec.structs.replace(adapted, resources=limits)
    return msgspec.structs.replace(deployment, spec=adapted), notes


def find_repository(spec: Spec, places: Sequence[Path]) -> Path | None:
    """The first of these folders that has every model which comes from an image or a volume; None if none has."""
    return next((place for place in places if place.is_dir() and _has_models(spec, place)), None)


def needs_folder(spec: Spec) -> bool:
    """Whether some model comes from where only a cluster gets it."""
    return any(not source.repository.fetched for source in sources_of(spec))


def lay_out_models(deployment: ModelDeployment, folder: Path | None, run: Path, cache: Path) -> Laid:
    """Prepare the models below `run`; `folder` stands for every repository if given, `cache` keeps fetched ones.

    Raises InvalidSpecError, UnsupportedMachineError for a source that only a cluster has, and LocalError with the
    message of `prepare`.
    """
    places = _places(deployment.spec, folder, cache)
    config, tree = run / "config", run / "models"
    config.mkdir()
    tree.mkdir()
    (run / "tmp").mkdir()
    rendered = render_revision(deployment, [], SETTINGS).config
    wanted = preparation.decode(rendered.pop(preparation.CONFIG_FILE).encode())
    wanted = _moved(wanted, places, fetch=folder is None)
    (config / preparation.CONFIG_FILE).write_bytes(preparation.encode(wanted))
    for name, text in rendered.items():
        (config / name).write_text(text, encoding="utf-8")
    common = places.get(preparation.SOURCE_DIR, run)
    try:
        prepared = prepare(config / preparation.CONFIG_FILE, common, tree)
    except PrepareError as error:
        about = f'model "{error.model}": ' if error.model else ""
        raise LocalError(f"{error.reason}: {about}{error}") from error
    return Laid(tree, prepared.models)


def _places(spec: Spec, folder: Path | None, cache: Path) -> dict[str, Path]:
    """Where each source lies here, by its mount point in a pod."""
    return {source.mount: folder or _fetched(source, cache) for source in sources_of(spec)}


def _fetched(source: RepositorySource, cache: Path) -> Path:
    repository = source.repository
    if not repository.fetched:
        what = "a container image" if repository.image else "a volume of a cluster"
        raise UnsupportedMachineError(
            f"the models come from {what}, which is not here: say with --repository DIR where they lie"
        )
    if repository.credentials_secret_ref or repository.ca_bundle_config_map_ref:
        raise UnsupportedMachineError(
            "the models' source needs a Secret or a ConfigMap of the cluster, which are not here: fetch the models "
            "yourself and say with --repository DIR where they lie"
        )
    place = cache / "sources" / _content(repository)
    place.mkdir(parents=True, exist_ok=True)
    return place


def _content(repository: ModelRepository) -> str:
    return hashlib.sha256(msgspec.json.encode(repository, order="sorted")).hexdigest()[:12]


def _moved(wanted: Preparation, places: Mapping[str, Path], *, fetch: bool) -> Preparation:
    """The same work with this machine's paths."""
    models = tuple(
        msgspec.structs.replace(model, source=str(places[model.source]) if model.source else "")
        for model in wanted.models
    )
    downloads = tuple(
        msgspec.structs.replace(download, target=str(places[download.target])) for download in wanted.downloads
    )
    return msgspec.structs.replace(wanted, models=models, downloads=downloads if fetch else ())


def _has_models(spec: Spec, place: Path) -> bool:
    """An ensemble whose configuration is in the spec may do without a folder."""
    found = [
        (place / repository.path.strip("/") / model.folder).is_dir()
        for model in spec.models
        if (repository := model.model_repository or spec.model_repository)
        and not (repository.fetched or model.format is Format.ENSEMBLE)
    ]
    return bool(found) and all(found)
