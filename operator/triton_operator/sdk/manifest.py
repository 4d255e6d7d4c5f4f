"""Create the manifests of ModelDeployments, as JSON for the API server.

Input: a YAML file, an object, or the fields of a spec. Output: manifests of ModelDeployments. The clients and
`tritonctl deploy` call it. Raises InvalidRequestError, which names the file or the field. The API server validates the
rest against the schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from triton_operator.api.names import API_VERSION, KIND
from triton_operator.api.spec import Spec
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.yaml_documents import YamlError, read_documents

Manifest = dict[str, Any]

_SERVERS_OWN = {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"}
"""Members of `metadata` that the API server sets; an apply must not contain them."""


def read_manifests(path: str | Path) -> list[Manifest]:
    """Return the ModelDeployments of a YAML file (`-` is standard input); other objects are skipped."""
    source = "standard input" if str(path) == "-" else str(path)
    try:
        documents = [each for document in read_documents(Path(path)) for each in _items(document, source)]
    except YamlError as error:
        raise InvalidRequestError(source, str(error)) from error
    found = [check_manifest(each, source) for each in documents if each.get("kind") == KIND]
    if not found:
        raise InvalidRequestError(source, f"has no {KIND}")
    return found


def _items(document: Any, source: str) -> list[Any]:
    """The objects of one document, which may be empty, one object or a List."""
    if document is None:
        return []
    if not isinstance(document, dict):
        raise InvalidRequestError(source, f"is not a Kubernetes object but {type(document).__name__}")
    return list(document.get("items") or []) if document.get("kind") == "List" else [document]


def check_manifest(manifest: Mapping[str, Any], source: str) -> Manifest:
    """Return the part of an object that can be applied; raises InvalidRequestError unless it is a ModelDeployment."""
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if manifest.get(field) != wanted:
            raise InvalidRequestError(f"{source}: {field}", f"is {manifest.get(field)!r}, expected {wanted}")
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise InvalidRequestError(f"{source}: metadata.name", "is missing")
    kept = {name: value for name, value in metadata.items() if name not in _SERVERS_OWN}
    return {**{name: value for name, value in manifest.items() if name != "status"}, "metadata": kept}


def manifest_of(name: str, namespace: str, given: str | Path | Mapping[str, Any] | None, spec: Any) -> Manifest:
    """The manifest for one deployment, from a file, an object, or the fields of its spec."""
    if given is None:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec_of(spec)}
    if spec:
        raise InvalidRequestError(next(iter(spec)), "is set in addition to a manifest; set it in the manifest")
    found = [check_manifest(given, "manifest")] if isinstance(given, Mapping) else read_manifests(given)
    own = [manifest for manifest in found if manifest["metadata"]["name"] == name]
    if not own:
        names = ", ".join(manifest["metadata"]["name"] for manifest in found)
        raise InvalidRequestError("metadata.name", f"is {names}, and this client is for {name}")
    written = own[0]["metadata"].get("namespace", "")
    if written not in {"", namespace}:
        raise InvalidRequestError(
            "metadata.namespace", f"is {written}; make the client for it: Client({name!r}, {written!r})"
        )
    return own[0]


def spec_of(fields: Mapping[str, Any]) -> Manifest:
    """Convert keyword arguments in snake_case to a spec; values are as in YAML, and models may be names."""
    known = {field.name: field.encode_name for field in msgspec.structs.fields(Spec)}
    for name in fields:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise InvalidRequestError(name, f"is not a field of a spec; {hint}")
    spec = {known[name]: value for name, value in fields.items()}
    if isinstance(spec.get("models"), list | tuple):
        spec["models"] = [{"name": each} if isinstance(each, str) else each for each in spec["models"]]
    return spec
