"""cert-manager in a test cluster: its definitions, its controllers as a process on this machine, and an authority.

The controllers are those of cert-manager; `hack/tools/certmanager` starts the ones that certificates of an authority in
the cluster need.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.cluster.process import ChildProcess
from hack.programs.catalogue import CERT_MANAGER, tools
from hack.programs.gobuild import source_folder
from tests.kube import Kube

MODULE = "github.com/cert-manager/cert-manager"
ISSUER = "company"
"""The issuer of `authority`."""
_KINDS = ("certificates", "certificaterequests", "issuers", "clusterissuers")
_GROUP = "cert-manager.io"


def install(kube: Kube) -> None:
    """Create the definitions, and wait until they are served."""
    kube.run("apply", "--server-side", *_files(), namespaced=False)
    kube.wait(lambda: _are_established(kube), "the kinds of cert-manager are served")


def uninstall(kube: Kube) -> None:
    """Delete the definitions with all their objects."""
    kube.run("delete", "--ignore-not-found", *_files(), namespaced=False)


@contextmanager
def controllers(kubeconfig: Path, namespace: str, folder: Path) -> Iterator[ChildProcess]:
    """Run the controllers in one namespace until the block ends; their log is in `folder`."""
    command = [str(tools("certmanager") / "certmanager"), "-kubeconfig", str(kubeconfig), "-namespace", namespace]
    process = ChildProcess(command, folder / "certmanager.log")
    try:
        yield process
    finally:
        process.stop(5)


def authority(namespace: str) -> list[dict[str, Any]]:
    """An authority in the namespace, and ISSUER, which signs with it."""
    root = {
        "isCA": True,
        "commonName": "Test authority",
        "secretName": "authority",
        "privateKey": {"algorithm": "ECDSA", "size": 256},
        "issuerRef": {"name": "self-signed", "kind": "Issuer"},
    }
    return [
        _object("Issuer", "self-signed", namespace, {"selfSigned": {}}),
        _object("Certificate", "authority", namespace, root),
        _object("Issuer", ISSUER, namespace, {"ca": {"secretName": "authority"}}),
    ]


def renew(kube: Kube, name: str) -> None:
    """Request another certificate at once, as the command `cmctl renew` does."""
    body = kube.get("certificate", name)
    assert body
    issuing = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "requested by a test"}
    conditions = [*(each for each in body["status"]["conditions"] if each["type"] != "Issuing"), issuing]
    kube.patch("certificate", name, {"status": {"conditions": conditions}}, subresource="status")


def _object(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _files() -> list[str]:
    """Options of kubectl with the files of the CustomResourceDefinitions."""
    folder = source_folder(CERT_MANAGER, MODULE) / "deploy" / "crds"
    return [f"--filename={folder / f'{_GROUP}_{kind}.yaml'}" for kind in _KINDS]


def _are_established(kube: Kube) -> bool:
    conditions = [
        condition
        for body in json.loads(kube.run("get", *_files(), "-o", "json", namespaced=False))["items"]
        for condition in body.get("status", {}).get("conditions") or ()
    ]
    served = [each for each in conditions if (each["type"], each["status"]) == ("Established", "True")]
    return len(served) == len(_KINDS)
