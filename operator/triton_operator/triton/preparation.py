"""What `prepare` is asked to do, and where in the pod everything lies.

`resources` writes a Preparation into the pod's ConfigMap and mounts the folders; `prepare` reads it. Encoding is
deterministic: the ConfigMap's name is a hash of it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.model import VersionPolicy
from triton_operator.api.struct import Struct
from triton_operator.triton.defaults import Facts

SOURCE_DIR = "/source"
"""The model repository, read-only; at the same path in both containers, because MODELS_DIR links into it."""

MODELS_DIR = "/models"
"""The tree that Triton reads."""

CONFIG_DIR = "/config"
CONFIG_FILE = "models.json"
"""Key in the ConfigMap and file in CONFIG_DIR: a Preparation."""

KEY_DIR = "/key"
KEY_FILE = "/key/admin.env"
"""Environment file with the admin key; the kubelet reads it, no container but `prepare` mounts its folder."""

KEY_VARIABLE = "ADMIN_KEY"
"""Variable in KEY_FILE and in Triton's environment."""


class PreparationModel(Struct, frozen=True):
    """One model to lay out: `path` is its folder, relative to `source_path` in the repository.

    What is unset is not written, so a list from an older operator reads as one where nothing of it was asked:
    `config` names the file in CONFIG_DIR with the configuration, "" is the repository's own. Where that file is a
    user's, `config_map` and `config_key` say where it comes from; when it is not there, they are missing. `format`,
    `digest` and `version_policy` are those of `spec.models`. From `facts` fields are filled in that the configuration
    leaves open. `copy` is set where somebody may change the source's files after their digest was compared.
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
    facts: Facts | None = None


class Preparation(Struct, frozen=True):
    """The models to lay out, and the folder in the repository (relative to SOURCE_DIR) that holds them."""

    models: tuple[PreparationModel, ...]
    source_path: str = "/"


def encode(preparation: Preparation) -> bytes:
    """JSON, the same bytes for the same content."""
    return msgspec.json.encode(preparation)


def decode(data: bytes) -> Preparation:
    """Read what `encode` wrote; raises ValueError naming the offending field."""
    try:
        return msgspec.json.decode(data, type=Preparation)
    except msgspec.DecodeError as error:
        raise ValueError(f"the list of models cannot be read: {error}") from error
