"""Load a custom model container into the local cluster, without a registry: `make model-image MODELS=folder`.

Input: a folder with one subfolder per model. Output: an image on the cluster's nodes; its tag is a hash of its files.
"""

from __future__ import annotations

import re
from pathlib import Path

from hack import cluster as clusters
from hack.cluster import LocalClusterError
from hack.images import pack
from hack.images.builder import BuiltImage
from hack.images.failures import ImageError


def pack_models(folder: Path) -> BuiltImage:
    """Pack the folder and load it; raises ImageError if it contains no model, LocalClusterError without a cluster."""
    require_models(folder)
    cluster = clusters.running()
    if cluster is None:
        raise LocalClusterError("no cluster is running; `make demo` starts one and installs the operator")
    image = pack(image_name(folder), folder.resolve())
    cluster.load_images([image])
    return image


def require_models(folder: Path) -> None:
    """Raise ImageError unless a subfolder has a numbered version, because mistakes are hard to find after packing."""
    if not folder.is_dir():
        raise ImageError(f"MODELS={folder}: No such folder")
    if not any(version.name.isdecimal() for version in folder.glob("*/*/")):
        names = ", ".join(sorted(each.name for each in folder.iterdir())) or "nothing"
        raise ImageError(f"MODELS={folder}: no subfolder is a model with a version, such as digits/1; found: {names}")


def image_name(folder: Path) -> str:
    """The folder's name, converted to a valid image name."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "models"
