"""The request to `prepare`, and the paths in the pod.

`resources` writes a Preparation into the pod's ConfigMap and mounts the folders; `prepare` reads it. The encoding is
deterministic, because the ConfigMap's name is a hash of it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.model import VersionPolicy
from triton_operator.api.repository import HttpSource, S3Source
from triton_operator.api.scan import Scan
from triton_operator.api.struct import Struct
from triton_operator.triton.config.defaults import TuningInputs

SOURCE_DIR = "/source"
"""The model repository, read-only, at the same path in both containers, because MODELS_DIR contains links into it.

Repositories of single models are at `/source-1` and so on. Only a fetched repository is writable, and only for
`prepare`.
"""

REPOSITORY_FOLDER = "repository"
"""Folder in the target of a Download with the fetched repository; it exists only if the repository is complete."""

CACHE_DIR = "/cache"
"""Mount path of the cache's claim in the Job that fills it; it has one folder per source."""

MODELS_DIR = "/models"
"""The tree that Triton reads."""

VERIFIED_DIR = "/verified"
"""Copies of signed models from sources that others can change, at the same path in both containers."""

PLAINTEXT_DIR = "/plaintext"
"""Decrypted models, in memory, at the same path in both containers."""

KEYSET_DIR = "/decryption-key"
KEYSET_FILE = "keyset.json"
"""The keyset of `spec.decryption`, in `prepare` only."""

VAULT_DIR = "/decryption-vault"
VAULT_TOKEN_FILE = "token"  # noqa: S105 -- the name of a file, not a token
VAULT_CA_FILE = "ca.crt"
"""The token for the vault of `spec.decryption` and the authorities to trust for it, in `prepare` only."""

CONFIG_DIR = "/config"
CONFIG_FILE = "models.json"
"""Name of the key in the ConfigMap and of the file in CONFIG_DIR that contain a Preparation."""


class PreparationModel(Struct, frozen=True):
    """One model to lay out: `path` is its folder, relative to `source_path` in its repository.

    Unset fields are not written, so a request that an older operator wrote can be read as well. `config` is the file in
    CONFIG_DIR with the configuration, "" for the repository's own. If a user's ConfigMap provides that file,
    `config_map` and `config_key` name it, for messages. `format`, `digest` and `version_policy` are those of
    `spec.models`. `tuning` determines the defaults for the configuration. `copy` is set if others could change the
    source's files after their digest was checked. `aotinductor_backend` is the server's backend for compiled
    files, "" if it uses their platform. `source` is the mount path of the model's own repository, to which
    `source_path` then refers, "" for the common repository. `writable` is set if others can write to the source.
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
    writable: bool = False


class KeyFile(Struct, frozen=True):
    """A key that may sign models: `public_key` is the key itself, in PEM form, or `file` its name in CONFIG_DIR.

    `config_map` and `config_key` name the user's ConfigMap that provides the file, for messages.
    """

    name: str
    public_key: str = ""
    file: str = ""
    config_map: str = ""
    config_key: str = ""


class SignatureCheck(Struct, frozen=True):
    """The keys of `spec.verification`; without `require`, models without a signature are accepted."""

    keys: tuple[KeyFile, ...]
    require: bool = True


class VaultLogin(Struct, frozen=True):
    """The vault of `spec.decryption`: where and as whom to log in, and the key that unwraps the models' keysets.

    `ca_config_map` and `ca_key` name the user's ConfigMap with the only trusted authorities, "" for those of the image.
    """

    address: str
    role: str
    key: str
    auth_path: str
    transit_path: str
    ca_config_map: str = ""
    ca_key: str = ""


class Download(Struct, frozen=True):
    """A repository to fetch into the writable folder `target`; one of `s3` and `http` is set.

    `folders` are the models' folders to fetch from a bucket. `credentials` is a folder with a file for each key of the
    user's Secret, `ca_bundle` a file with PEM certificates; both are "" if not mounted.
    """

    target: str
    s3: S3Source | None = None
    http: HttpSource | None = None
    folders: tuple[str, ...] = ()
    credentials: str = ""
    ca_bundle: str = ""


class FetchProxy(Struct, frozen=True):
    """The HTTP proxy for downloads: `credentials` is a folder with the keys of its Secret, "" without one.

    `no_proxy` lists the servers that are reached without it.
    """

    url: str
    no_proxy: tuple[str, ...] = ()
    credentials: str = ""


class Preparation(Struct, frozen=True):
    """The models to lay out, the repositories to fetch first, and the models' path in the common repository.

    `source_path` is relative to SOURCE_DIR. `verification` is None if signatures are not checked. `decrypts` is set if
    there is a key for encrypted models, and `vault` if it is in a vault and not in a file. `scan` decides about models
    in which the scan finds something. `proxy` is None if servers are reached directly.
    """

    models: tuple[PreparationModel, ...]
    source_path: str = "/"
    downloads: tuple[Download, ...] = ()
    verification: SignatureCheck | None = None
    decrypts: bool = False
    scan: Scan = Scan.WARN
    vault: VaultLogin | None = None
    proxy: FetchProxy | None = None


def encode(preparation: Preparation) -> bytes:
    """Encode as JSON; equal content is encoded as equal bytes."""
    return msgspec.json.encode(preparation)


def decode(data: bytes) -> Preparation:
    """Read the output of `encode`; raises ValueError, which names the field."""
    try:
        return msgspec.json.decode(data, type=Preparation)
    except msgspec.DecodeError as error:
        raise ValueError(f"the list of models cannot be read: {error}") from error
