"""The model repositories of a deployment: volumes of its pods, and the downloads of `prepare`.

Pure. The common repository is mounted at `/source`. Repositories of single models are mounted at `/source-1` and so on,
in the order of the models; equal repositories share one mount. A fetched repository is an emptyDir that only `prepare`
can write, and only `prepare` mounts its Secret and ConfigMap. With a cache, a Job fetches the repositories into folders
of a claim, which the pods mount.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.model import Model
from triton_operator.api.repository import ModelRepository
from triton_operator.api.spec import Spec
from triton_operator.resources.container_resources import scratch_limit
from triton_operator.resources.fetch_proxy import proxy_credentials_mounts, proxy_credentials_volumes
from triton_operator.resources.metadata import Manifest
from triton_operator.triton.prepare_contract.request import REPOSITORY_FOLDER, SOURCE_DIR, Download

CACHE_VOLUME = "cache"
_CA_FILE = "ca.crt"


class RepositorySource(NamedTuple):
    """A repository of at least one model; `name` is the name of its volume, `mount` its path in both containers.

    A `cached` repository has no volume. It is a folder with this name in the cache's claim.
    """

    name: str
    mount: str
    repository: ModelRepository
    cached: bool

    @property
    def fetched_by_pods(self) -> bool:
        """Whether every pod fetches the repository itself."""
        return self.repository.fetched and not self.cached

    @property
    def credentials(self) -> str:
        """The folder in `prepare` with the Secret's keys as files; "" without a Secret."""
        return f"/credentials/{self.name}" if self.repository.credentials_secret_ref else ""

    @property
    def ca_folder(self) -> str:
        """The folder in `prepare` with the CA certificates; "" without any."""
        return f"/ca/{self.name}" if self.repository.ca_bundle_config_map_ref else ""


def sources_of(spec: Spec) -> list[RepositorySource]:
    """Each repository that a model uses, without duplicates; the common repository comes first."""
    used = list(dict.fromkeys(repository for model in spec.models if (repository := _repository_of(spec, model))))
    own = [repository for repository in used if repository != spec.model_repository]
    places = [("source", SOURCE_DIR, repository) for repository in used if repository == spec.model_repository]
    places += [(f"source-{number}", f"{SOURCE_DIR}-{number}", repository) for number, repository in enumerate(own, 1)]
    return [
        RepositorySource(name, mount, repository, cached=spec.cache is not None and repository.fetched)
        for name, mount, repository in places
    ]


def cached_sources(spec: Spec) -> list[RepositorySource]:
    """The repositories that a Job fetches into the cache's claim."""
    return [source for source in sources_of(spec) if source.cached]


class RepositoryLocation(NamedTuple):
    """The location of a model's repository for `prepare`; see `PreparationModel`."""

    source: str = ""
    source_path: str = "/"


def location_of(spec: Spec, model: Model) -> RepositoryLocation:
    """The mount path of the model's own repository and the path in it; empty for the common repository."""
    own = model.model_repository
    if own is None or own == spec.model_repository:
        return RepositoryLocation()
    (mount,) = (source.mount for source in sources_of(spec) if source.repository == own)
    return RepositoryLocation(mount, own.path)


def build_downloads(spec: Spec) -> tuple[Download, ...]:
    """The downloads of `prepare` in serving pods."""
    return tuple(build_download(spec, source, source.mount) for source in sources_of(spec) if source.fetched_by_pods)


def build_download(spec: Spec, source: RepositorySource, target: str) -> Download:
    """The download of a source into the folder `target`."""
    repository = source.repository
    users = (model for model in spec.models if _repository_of(spec, model) == repository)
    return Download(
        target=target,
        s3=repository.s3,
        http=repository.http,
        folders=tuple(sorted({model.folder for model in users})) if repository.s3 else (),
        credentials=source.credentials,
        ca_bundle=f"{source.ca_folder}/{_CA_FILE}" if source.ca_folder else "",
    )


def source_volumes(spec: Spec, claim: str) -> list[Manifest]:
    """Volumes of the sources, their Secrets and ConfigMaps; `claim` is the claim of the cached sources."""
    volumes: list[Manifest] = []
    for source in sources_of(spec):
        if not source.cached:
            volumes.append({"name": source.name} | _volume(spec, source.repository))
        if source.fetched_by_pods:
            volumes += access_volumes(source)
    if any(source.fetched_by_pods for source in sources_of(spec)):
        volumes += proxy_credentials_volumes(spec)
    if cached_sources(spec):
        volumes.append({"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    return volumes


def server_mounts(spec: Spec) -> list[Manifest]:
    """Mounts of the sources in Triton's container, all read-only."""
    return [_mount(source) | {"readOnly": True} for source in sources_of(spec)]


def prepare_mounts(spec: Spec) -> list[Manifest]:
    """Mounts of the sources, Secrets and ConfigMaps in `prepare`; only sources that it fetches are writable."""
    mounts: list[Manifest] = []
    for source in sources_of(spec):
        if source.fetched_by_pods:
            mounts += [_mount(source), *access_mounts(source)]
        else:
            mounts.append(_mount(source) | {"readOnly": True})
    if any(source.fetched_by_pods for source in sources_of(spec)):
        mounts += proxy_credentials_mounts(spec)
    return mounts


def access_volumes(source: RepositorySource) -> list[Manifest]:
    """Volumes of the Secret and the ConfigMap that are required to fetch this source."""
    volumes: list[Manifest] = []
    if secret := source.repository.credentials_secret_ref:
        volumes.append({"name": f"{source.name}-credentials", "secret": {"secretName": secret.name}})
    if bundle := source.repository.ca_bundle_config_map_ref:
        items = [{"key": bundle.key, "path": _CA_FILE}]
        volumes.append({"name": f"{source.name}-ca", "configMap": {"name": bundle.name, "items": items}})
    return volumes


def access_mounts(source: RepositorySource) -> list[Manifest]:
    """Mounts of these volumes in the container that fetches the source."""
    mounts: list[Manifest] = []
    if source.credentials:
        mounts.append({"name": f"{source.name}-credentials", "mountPath": source.credentials, "readOnly": True})
    if source.ca_folder:
        mounts.append({"name": f"{source.name}-ca", "mountPath": source.ca_folder, "readOnly": True})
    return mounts


def _mount(source: RepositorySource) -> Manifest:
    if source.cached:
        return {"name": CACHE_VOLUME, "mountPath": source.mount, "subPath": f"{source.name}/{REPOSITORY_FOLDER}"}
    return {"name": source.name, "mountPath": source.mount}


def _repository_of(spec: Spec, model: Model) -> ModelRepository | None:
    return model.model_repository or spec.model_repository


def _volume(spec: Spec, repository: ModelRepository) -> Manifest:
    if repository.image:
        image: Manifest = {"reference": repository.image.reference}
        if repository.image.pull_policy:
            image["pullPolicy"] = repository.image.pull_policy
        return {"image": image}
    if repository.pvc:
        return {"persistentVolumeClaim": {"claimName": repository.pvc.claim_name, "readOnly": True}}
    if repository.fetched:
        return {"emptyDir": {"sizeLimit": scratch_limit(spec)}}
    message = "a model repository has no source"  # CEL and validate() reject it.
    raise AssertionError(message)
