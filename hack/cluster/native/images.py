"""Import image archives into the node's containerd.

Input: images, each a reference and an OCI archive. Output: images that pods can use by tag, by digest and as `latest`.
`start` and `node.NativeCluster` call it.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hack.cluster.native.layout import CONTAINERD_SOCKET
from hack.failures import LocalClusterError
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hack.cluster.image import LoadableImage


def import_images(supervisor: int, programs: Path, images: Iterable[LoadableImage]) -> None:
    """Import those of `images` that are missing; `supervisor` is the node's process ID.

    Raises LocalClusterError if an archive is missing, cannot be imported, or contains another reference.
    """
    ctr = _ctr(supervisor, programs)
    present = stored(supervisor, programs)
    for image in images:
        if not is_complete(image.reference, present):
            with step(f"import image {image.name}"):
                _import(ctr, image)
            present = stored(supervisor, programs)
        if present.get(latest(image.reference)) != present[image.reference]:
            _run([*ctr, "images", "tag", "--force", image.reference, latest(image.reference)])


def stored(supervisor: int, programs: Path) -> dict[str, str]:
    """Return the digest of every image of the node by each of its references."""
    return parse_list(_run([*_ctr(supervisor, programs), "images", "list"]))


def parse_list(table: str) -> dict[str, str]:
    """Parse the output of `ctr images list`: a heading, then rows of reference, type, digest and more."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[0]: row[2] for row in rows}


def by_digest(reference: str, digest: str) -> str:
    """Return the image's reference by digest: `repository@sha256:…`."""
    head, slash, tail = reference.rpartition("/")
    return f"{head}{slash}{tail.split(':')[0]}@{digest}"


def latest(reference: str) -> str:
    """Return the image's reference with the tag `latest`, which refers to the image that was loaded last."""
    head, slash, tail = reference.rpartition("/")
    return f"{head}{slash}{tail.split(':')[0]}:latest"


def is_complete(reference: str, present: dict[str, str]) -> bool:
    """Whether the image exists under both names; after an interrupted import, the second one is missing."""
    return reference in present and by_digest(reference, present[reference]) in present


def _import(ctr: list[str], image: LoadableImage) -> None:
    if not image.archive.is_file():
        msg = f"the archive of image {image.name}, {image.archive}, is missing: build it again"
        raise LocalClusterError(msg)
    _run([*ctr, "images", "import", str(image.archive.resolve())])
    images = parse_list(_run([*ctr, "images", "list"]))
    if image.reference not in images:
        msg = f"{image.archive} was imported but holds no image {image.reference}: its annotations name another"
        raise LocalClusterError(msg)
    _run([*ctr, "images", "tag", "--force", image.reference, by_digest(image.reference, images[image.reference])])


def _ctr(supervisor: int, programs: Path) -> list[str]:
    inside = ["nsenter", "--target", str(supervisor), "--mount", "--"]
    return [*inside, str(programs / "ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]


def _run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        words = " ".join(command[command.index("k8s.io") + 1 :])
        msg = f"`ctr {words}` failed: {result.stderr.strip()[-1000:]}"
        raise LocalClusterError(msg)
    return result.stdout
