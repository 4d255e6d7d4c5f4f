"""Import image archives into the node's containerd.

Input: images, each a reference and an OCI archive. Output: images that pods can name by tag, by digest and as `latest`.
Called by `start` and by `node.NativeCluster`.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hack.cluster.failures import LocalClusterError
from hack.cluster.native.layout import CONTAINERD_SOCKET
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hack.cluster.image import Image


def import_images(supervisor: int, programs: Path, images: Iterable[Image]) -> None:
    """Import those of `images` that are missing; `supervisor` is the node's process id.

    Raises LocalClusterError when an archive is missing, cannot be imported, or holds another reference.
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
    """Return the digest of every image the node has, by each reference it has for it."""
    return parse_list(_run([*_ctr(supervisor, programs), "images", "list"]))


def parse_list(table: str) -> dict[str, str]:
    """Read `ctr images list`: a heading, then rows of reference, type, digest and more."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[0]: row[2] for row in rows}


def by_digest(reference: str, digest: str) -> str:
    """Return the name of the same image by digest: `repository@sha256:…`."""
    head, slash, tail = reference.rpartition("/")
    return f"{head}{slash}{tail.split(':')[0]}@{digest}"


def latest(reference: str) -> str:
    """Return the name under which people write the image down: `repository:latest`, whichever was loaded last."""
    head, slash, tail = reference.rpartition("/")
    return f"{head}{slash}{tail.split(':')[0]}:latest"


def is_complete(reference: str, present: dict[str, str]) -> bool:
    """Whether the image is there under both names; an import that was cut off lacks the second."""
    return reference in present and by_digest(reference, present[reference]) in present


def _import(ctr: list[str], image: Image) -> None:
    if not image.archive.is_file():
        msg = f"the archive of image {image.name}, {image.archive}, is missing: build it again"
        raise LocalClusterError(msg)
    _run([*ctr, "images", "import", str(image.archive.resolve())])
    found = parse_list(_run([*ctr, "images", "list"]))
    if image.reference not in found:
        msg = f"{image.archive} was imported but holds no image {image.reference}: its annotations name another"
        raise LocalClusterError(msg)
    _run([*ctr, "images", "tag", "--force", image.reference, by_digest(image.reference, found[image.reference])])


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
