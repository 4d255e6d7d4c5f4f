"""The model repositories of a deployment as volumes of its pods, and what `prepare` has to fetch into them.

Pure. The common repository is mounted at `/source`, those of single models at `/source-1` and so on in the order in
which the models name them; equal ones are one. What is fetched is an emptyDir that only `prepare` can write, and the
Secret and the ConfigMap for it are mounted into `prepare` alone.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.model import Model
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.triton.preparation import SOURCE_DIR, Download

_CA_FILE = "ca.crt"


class Source(NamedTuple):
    """A repository that some model comes from; `name` is its volume's, `mount` its place in both containers."""

    name: str
    mount: str
    repository: ModelRepository

    @property
    def credentials(self) -> str:
        """Where `prepare` finds the Secret's keys as files, "" without a Secret."""
        return f"/credentials/{self.name}" if self.repository.credentials_secret_ref else ""

    @property
    def ca_folder(self) -> str:
        """Where `prepare` finds the certificates, "" without any."""
        return f"/ca/{self.name}" if self.repository.ca_bundle_config_map_ref else ""


def sources_of(spec: Spec) -> list[Source]:
    """Each repository that a model comes from, once, the common one first."""
    used = list(dict.fromkeys(repository for model in spec.models if (repository := _repository_of(spec, model))))
    own = [repository for repository in used if repository != spec.model_repository]
    common = [Source("source", SOURCE_DIR, repository) for repository in used if repository == spec.model_repository]
    return common + [
        Source(f"source-{number}", f"{SOURCE_DIR}-{number}", repository) for number, repository in enumerate(own, 1)
    ]


def needs_fetching(spec: Spec) -> bool:
    """Whether `prepare` has something to fetch."""
    return any(source.repository.fetched for source in sources_of(spec))


class Place(NamedTuple):
    """Where `prepare` finds a model's repository: see `PreparationModel`."""

    source: str = ""
    source_path: str = "/"


def place_of(spec: Spec, model: Model) -> Place:
    """Where the model's own repository is mounted, and the path in it; for the common one nothing need be said."""
    own = model.model_repository
    if own is None or own == spec.model_repository:
        return Place()
    (mount,) = (source.mount for source in sources_of(spec) if source.repository == own)
    return Place(mount, own.path)


def build_downloads(spec: Spec) -> tuple[Download, ...]:
    """What `prepare` has to fetch."""
    return tuple(_download(spec, source) for source in sources_of(spec) if source.repository.fetched)


def source_volumes(spec: Spec) -> list[Manifest]:
    """Volumes of the sources and of what fetching them needs."""
    volumes: list[Manifest] = []
    for source in sources_of(spec):
        volumes.append({"name": source.name} | _volume(source.repository))
        if secret := source.repository.credentials_secret_ref:
            volumes.append({"name": f"{source.name}-credentials", "secret": {"secretName": secret.name}})
        if bundle := source.repository.ca_bundle_config_map_ref:
            items = [{"key": bundle.key, "path": _CA_FILE}]
            volumes.append({"name": f"{source.name}-ca", "configMap": {"name": bundle.name, "items": items}})
    return volumes


def server_mounts(spec: Spec) -> list[Manifest]:
    """Mounts of the sources in Triton's container: nothing can be written."""
    return [{"name": source.name, "mountPath": source.mount, "readOnly": True} for source in sources_of(spec)]


def prepare_mounts(spec: Spec) -> list[Manifest]:
    """Mounts of the sources in `prepare`, with what fetching needs; only what is fetched can be written."""
    mounts: list[Manifest] = []
    for source in sources_of(spec):
        mount: Manifest = {"name": source.name, "mountPath": source.mount}
        mounts.append(mount if source.repository.fetched else mount | {"readOnly": True})
        if source.credentials:
            name = f"{source.name}-credentials"
            mounts.append({"name": name, "mountPath": source.credentials, "readOnly": True})
        if source.ca_folder:
            mounts.append({"name": f"{source.name}-ca", "mountPath": source.ca_folder, "readOnly": True})
    return mounts


def _repository_of(spec: Spec, model: Model) -> ModelRepository | None:
    return model.model_repository or spec.model_repository


def _download(spec: Spec, source: Source) -> Download:
    repository = source.repository
    users = (model for model in spec.models if _repository_of(spec, model) == repository)
    return Download(
        target=source.mount,
        s3=repository.s3,
        http=repository.http,
        folders=tuple(sorted({model.folder for model in users})) if repository.s3 else (),
        credentials=source.credentials,
        ca_bundle=f"{source.ca_folder}/{_CA_FILE}" if source.ca_folder else "",
    )


def _volume(repository: ModelRepository) -> Manifest:
    if repository.image:
        image: Manifest = {"reference": repository.image.reference}
        if repository.image.pull_policy:
            image["pullPolicy"] = repository.image.pull_policy
        return {"image": image}
    if repository.pvc:
        return {"persistentVolumeClaim": {"claimName": repository.pvc.claim_name, "readOnly": True}}
    if repository.fetched:
        return {"emptyDir": {}}
    message = "a model repository has no source"  # CEL and validate() both refuse it before.
    raise AssertionError(message)
