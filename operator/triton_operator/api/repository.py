"""The kinds of model repositories.

The schema documents each field. `spec` and `model` contain these structs, `resources` builds volumes from them, and
`prepare` receives the repositories that it fetches (S3, HTTP) unchanged.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.references import ConfigMapKey, SecretName
from triton_operator.api.struct import Struct


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ImageSource(Struct, frozen=True):
    """An OCI image whose file system contains the model repository."""

    reference: str
    pull_policy: PullPolicy | None = None
    path: str = "/"


class ClaimSource(Struct, frozen=True):
    """A PersistentVolumeClaim in the same namespace that contains the model repository."""

    claim_name: str
    path: str = "/"


class S3Source(Struct, frozen=True):
    """A bucket of an S3 server; the default endpoint is Amazon S3. `prefix` has no leading or trailing slash."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None


class HttpSource(Struct, frozen=True):
    """An archive with the model repository; `sha256` is the archive's digest, 64 hexadecimal digits."""

    url: str
    sha256: str | None = None


class CABundle(ConfigMapKey, frozen=True):
    """CA certificates in PEM format, in a ConfigMap of the same namespace."""

    key: str = "ca.crt"


class ModelRepository(Struct, frozen=True):
    """The model repository; exactly one of the first four members is set. The others apply to S3 and HTTP only."""

    image: ImageSource | None = None
    pvc: ClaimSource | None = None
    s3: S3Source | None = None
    http: HttpSource | None = None
    credentials_secret_ref: SecretName | None = None
    ca_bundle_config_map_ref: CABundle | None = None

    @property
    def fetched(self) -> bool:
        """Whether `prepare` or a cache Job downloads the files; otherwise, the repository is a volume."""
        return self.s3 is not None or self.http is not None

    @property
    def path(self) -> str:
        """The folder that contains the models' folders, "/" for a fetched repository."""
        volume = self.image or self.pvc
        return volume.path if volume else "/"
