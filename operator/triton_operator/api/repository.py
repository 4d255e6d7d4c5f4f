"""The kinds of model repositories.

The schema documents each field; `spec` and `model` hold the structs, `resources` turns them into volumes, and those
that are fetched (S3, HTTP) travel on to `prepare` as they are.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.references import SecretName
from triton_operator.api.struct import Struct


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ImageSource(Struct, frozen=True):
    """An OCI image whose file system holds the model repository."""

    reference: str
    pull_policy: PullPolicy | None = None
    path: str = "/"


class ClaimSource(Struct, frozen=True):
    """A PersistentVolumeClaim of the same namespace that holds the model repository."""

    claim_name: str
    path: str = "/"


class S3Source(Struct, frozen=True):
    """A bucket of an S3 server; without `endpoint` it is Amazon's, `prefix` is "" or "a/b" without slashes around."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None


class HttpSource(Struct, frozen=True):
    """An archive that holds the repository; `sha256` is of the archive, 64 hexadecimal digits."""

    url: str
    sha256: str | None = None


class CABundle(Struct, frozen=True):
    """Certificates, PEM, in a ConfigMap of the same namespace."""

    name: str
    key: str = "ca.crt"


class ModelRepository(Struct, frozen=True):
    """Where the models come from; exactly one of the first four members is set, the others belong to S3 and HTTP."""

    image: ImageSource | None = None
    pvc: ClaimSource | None = None
    s3: S3Source | None = None
    http: HttpSource | None = None
    credentials_secret_ref: SecretName | None = None
    ca_bundle_config_map_ref: CABundle | None = None

    @property
    def fetched(self) -> bool:
        """Whether the files come over the network while a pod starts, instead of as a volume."""
        return self.s3 is not None or self.http is not None

    @property
    def path(self) -> str:
        """The folder inside the volume that holds the models' folders; what is fetched has them at its top."""
        volume = self.image or self.pvc
        return volume.path if volume else "/"
