"""Write an image as one file: an OCI image layout inside a tar archive.

Input: layers, settings and a reference. Output: an archive for `ctr images import`, `kind load image-archive` and
`docker load`. `builder` calls it. The format is the OCI image specification 1.1. containerd reads the image's name from
the annotation `io.containerd.image.name`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.images.layers import LONG_AGO
from hack.images.sandbox import DEFAULT_PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.images.containerfile import ImageSettings
    from hack.images.layers import Layer

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def write_archive(target: Path, reference: str, layers: Sequence[Layer], settings: ImageSettings, machine: str) -> None:
    """Write the archive; it is renamed to `target` when it is complete. `machine` is `amd64` or `arm64`."""
    config = _encode(image_config(layers, settings, machine))
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        }
    )
    draft = target.with_suffix(".draft")
    with tarfile.TarFile(draft, "w", format=tarfile.GNU_FORMAT, copybufsize=1 << 20) as archive:
        _add(archive, "index.json", _encode(image_index(manifest, reference)))
        _add(archive, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))
        for blob in (manifest, config):
            _add(archive, _blob_name(_digest(blob)), blob)
        for layer in {layer.digest: layer for layer in layers}.values():
            with layer.archive.open("rb") as content:
                archive.addfile(_entry(_blob_name(layer.digest), layer.size), content)
    draft.replace(target)


def read_digest(archive: Path) -> str:
    """Digest of the image in an archive, `sha256:...`, from the index, which is the first file."""
    with tarfile.open(archive) as opened:
        content = opened.extractfile("index.json")
        index = json.load(content) if content else {}
    return str(index["manifests"][0]["digest"])


def image_config(layers: Sequence[Layer], settings: ImageSettings, machine: str) -> dict[str, Any]:
    """The image's configuration: container settings and layers."""
    return {
        "created": "1980-01-01T00:00:00Z",
        "architecture": machine,
        "os": "linux",
        "config": {
            "User": settings.user,
            "Env": list({item.split("=", 1)[0]: item for item in (DEFAULT_PATH, *settings.env)}.values()),
            "WorkingDir": settings.workdir,
            "Entrypoint": list(settings.entrypoint),
            "Cmd": list(settings.command),
            "ExposedPorts": {port if "/" in port else f"{port}/tcp": {} for port in settings.ports},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def image_index(manifest: bytes, reference: str) -> dict[str, Any]:
    """The archive's index, with one image and its name."""
    annotations = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    return {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**_descriptor(_MANIFEST, manifest), "annotations": annotations}],
    }


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, LONG_AGO, 0o644
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_entry(name, len(content)), io.BytesIO(content))
