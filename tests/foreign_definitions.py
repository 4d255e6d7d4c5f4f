"""CustomResourceDefinitions of other projects in a test cluster, from the Go modules that `hack/tools` requires."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kube import Kube


def install(kube: Kube, files: list[Path]) -> None:
    """Create the definitions in the files, and wait until they are served."""
    kube.run("apply", "--server-side", *_options(files), namespaced=False)
    kube.wait(lambda: _are_established(kube, files), "the definitions are served")


def uninstall(kube: Kube, files: list[Path]) -> None:
    """Delete the definitions with all their objects."""
    kube.run("delete", "--ignore-not-found", *_options(files), namespaced=False)


def _options(files: list[Path]) -> list[str]:
    return [f"--filename={path}" for path in files]


def _are_established(kube: Kube, files: list[Path]) -> bool:
    found = json.loads(kube.run("get", *_options(files), "-o", "json", namespaced=False))
    items = found["items"] if found["kind"] == "List" else [found]
    return all(_is_established(body.get("status", {}).get("conditions") or []) for body in items)


def _is_established(conditions: list[dict[str, str]]) -> bool:
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)
