"""What `prepare` is asked to do, and where in the pod everything lies.

`resources` writes a Preparation into the pod's ConfigMap and mounts the folders; `prepare` reads it. Encoding is
deterministic: the ConfigMap's name is a hash of it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.model import VersionPolicy
from triton_operator.api.repository import HttpSource, S3Source
from triton_operator.api.struct import Struct
from triton_operator.triton.config.defaults import TuningInputs

SOURCE_DIR = "/source"
"""The model repository, read-only; at the same path in both containers, because MODELS_DIR links into it.

Repositories of single models lie beside it, `/source-1` and so on. Only one that is fetched can be written, and only by
`prepare`.
"""

REPOSITORY_FOLDER = "repository"
"""Folder in the target of a Download that holds what was fetched; it is there when all of it is."""

CACHE_DIR = "/cache"
"""The cache's claim in the Job that fills it; a folder in it for each source."""

MODELS_DIR = "/models"
"""The tree that Triton reads."""

CONFIG_DIR = "/config"
CONFIG_FILE = "models.json"
"""Key in the ConfigMap and file in CONFIG_DIR: a Preparation."""


class PreparationModel(Struct, frozen=True):
    """One model to lay out: `path` is its folder, relative to the `source_path` in its repository.

    What is unset is not written, so a list from an older operator reads as one where nothing of it was asked:
    `config` names the file in CONFIG_DIR with the configuration, "" is the repository's own. Where that file is a
    user's, `config_map` and `config_key` say where it comes from; when it is not there, they are missing. `format`,
    `digest` and `version_policy` are those of `spec.models`. From `tuning` fields are filled in that the configuration
    leaves open. `copy` is set where somebody may change the source's files after their digest was compared.
    `aotinductor_backend` is the one that the server has for such files, "" where it knows them by their platform.
    `source` is where the model's own repository is mounted, and `source_path` belongs to that; "" is the common one.
    """

    name: str
    path: str
    config: str = ""
    config_map: str = ""
    config_key: str = ""
    format: str = ""
    digest: str = ""
    version_policy: VersionPolicy | None = None
    copy: bool = False
    tuning: TuningInputs | None = None
    aotinductor_backend: str = ""
    source: str = ""
    source_path: str = "/"


class Download(Struct, frozen=True):
    """A repository to fetch into `target`, a folder that can be written; one of `s3` and `http` is set.

    `folders` are the models' folders that are wanted of a bucket. `credentials` is a folder with a file for each key
    of the user's Secret, `ca_bundle` a file of PEM certificates; both are "" when there is nothing mounted.
    """

    target: str
    s3: S3Source | None = None
    http: HttpSource | None = None
    folders: tuple[str, ...] = ()
    credentials: str = ""
    ca_bundle: str = ""


class Preparation(Struct, frozen=True):
    """The models to lay out, what has to be fetched before, and where in the common repository the models are.

    `source_path` is relative to SOURCE_DIR.
    """

    models: tuple[PreparationModel, ...]
    source_path: str = "/"
    downloads: tuple[Download, ...] = ()


def encode(preparation: Preparation) -> bytes:
    """JSON, the same bytes for the same content."""
    return msgspec.json.encode(preparation)


def decode(data: bytes) -> Preparation:
    """Read what `encode` wrote; raises ValueError naming the offending field."""
    try:
        return msgspec.json.decode(data, type=Preparation)
    except msgspec.DecodeError as error:
        raise ValueError(f"the list of models cannot be read: {error}") from error
