"""Read ModelDeployments from YAML files, and check them as far as possible without an API server.

Input: a path (`-` is standard input). Output: typed deployments. Unknown fields, wrong types and conflicting values are
found, also in fields that are passed on to Kubernetes. The API server checks the whole schema of
crds/modeldeployments.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.field_check import unknown_fields, wrong_type
from triton_operator.api.hpa import HPA_TYPES
from triton_operator.api.names import API_VERSION, KIND
from triton_operator.api.passthrough import PASSTHROUGH_TYPES
from triton_operator.api.spec import ModelDeployment, Spec, parse
from triton_operator.cli.failures import UsageError
from triton_operator.reconcile.validate import validate
from triton_operator.sdk.yaml_documents import YamlError, read_documents

NAME_LENGTH = 40
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
CHILD_SUFFIX = r"-(headless|canary|proxy|(config|cache)-[0-9a-f]{8}|[0-9a-f]{10})$"
"""The rules for names in crds/modeldeployments.yaml, which is not part of the package; a test keeps them equal."""


def read_deployments(path: Path, namespace: str) -> list[ModelDeployment]:
    """Return the ModelDeployments in a file; other objects are skipped. Raises UsageError with the field's path.

    `namespace` is the default for objects without one.
    """
    source = source_name(path)
    bodies = [body for body in _documents(path, source) if body.get("kind") == KIND]
    if not bodies:
        raise UsageError(f"{source}: contains no {KIND}")
    return [_deployment(body, namespace, source) for body in bodies]


def source_name(path: Path) -> str:
    """The name of the file in messages."""
    return "standard input" if str(path) == "-" else str(path)


def _documents(path: Path, source: str) -> Iterator[dict[str, Any]]:
    try:
        for document in read_documents(path):
            if isinstance(document, dict):
                yield document
            elif document is not None:
                raise UsageError(f"{source}: expected a Kubernetes object, got {type(document).__name__}")
    except YamlError as error:
        raise UsageError(f"{source}: {error}") from error


def _deployment(body: dict[str, Any], namespace: str, source: str) -> ModelDeployment:
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise UsageError(f"{source}: metadata.name: is missing")
    place = f"{source}: {metadata['name']}"
    if body.get("apiVersion") != API_VERSION:
        raise UsageError(f"{place}: apiVersion: expected {API_VERSION}, got {body.get('apiVersion')!r}")
    if problem := wrong_name(metadata["name"]):
        raise UsageError(f"{place}: metadata.name: {problem}")
    spec = body.get("spec")
    unknown = [f"{each.path}: {each.message}" for each in unknown_fields(spec, Spec, "spec")]
    if complaints := [*unknown, *wrong_parts(spec)]:
        raise UsageError(f"{place}: " + "; ".join(complaints))
    try:
        deployment = parse({**body, "metadata": {"namespace": namespace, **metadata}})
        validate(deployment.spec, deployment.metadata.name, deployment.metadata.namespace)
    except InvalidSpecError as error:
        raise UsageError(f"{place}: {error}") from error
    return deployment


def wrong_name(name: str) -> str:
    """Why a name is invalid for a ModelDeployment, by the rules of the CRD; "" if it is valid."""
    if len(name) > NAME_LENGTH:
        return f"has {len(name)} characters; at most {NAME_LENGTH} are allowed"
    if not re.search(NAME_PATTERN, name):
        return "use lowercase letters, digits and '-'; start with a letter and do not end with '-'"
    if re.search(CHILD_SUFFIX, name):
        return (
            "ends with a suffix reserved for child objects, such as -headless or -config-<8 hex digits>; "
            "choose another name"
        )
    return ""


def wrong_parts(spec: Any) -> Iterator[str]:
    """Yield a message for every error in fields that are passed on to Kubernetes."""
    for path, kind in (PASSTHROUGH_TYPES | HPA_TYPES).items():
        value = spec
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            continue
        place = ".".join(("spec", *path))
        for problem in [*unknown_fields(value, kind, place), *wrong_type(value, kind, place)]:
            yield f"{problem.path}: {problem.message}"
