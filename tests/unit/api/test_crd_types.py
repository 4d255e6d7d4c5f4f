"""The schema and the types agree: a field that only one of them has would be lost silently."""

from __future__ import annotations

import enum
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.paths import ROOT
from triton_operator.api.names import GROUP, KIND, PLURAL, VERSION
from triton_operator.api.spec import Spec, parse
from triton_operator.api.status import Condition, Status, Truth

CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

JSON_TYPES = {str: "string", int: "integer", bool: "boolean"}


def pairs(struct: type[msgspec.Struct], schema: dict[str, Any], path: str) -> list[tuple[str, type, dict[str, Any]]]:
    """(path, struct, schema) of `struct` and of every struct below it; a field without schema ends the walk there."""
    found = [(path, struct, schema)]
    for field in msgspec.structs.fields(struct):
        below = schema.get("properties", {}).get(field.encode_name, {})
        for inner in structs_in(field.type):
            found += pairs(inner, below.get("items", below), f"{path}.{field.encode_name}")
    return found


def structs_in(annotation: Any) -> list[type[msgspec.Struct]]:
    """The structs that an annotation such as `tuple[Model, ...] | None` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for argument in typing.get_args(annotation) for struct in structs_in(argument)]


def plain(annotation: Any) -> Any:
    """The annotation without `| None`."""
    if isinstance(annotation, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        return options[0] if len(options) == 1 else annotation
    return annotation


ALL = pairs(Spec, SCHEMA["spec"], "spec") + pairs(Status, SCHEMA["status"], "status")
IDS = [path for path, _, _ in ALL]
each_struct = pytest.mark.parametrize(("path", "struct", "schema"), ALL, ids=IDS)


@each_struct
def test_schema_and_type_have_the_same_fields(path: str, struct: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    """No field exists on one side only."""
    assert set(schema["properties"]) == {field.encode_name for field in msgspec.structs.fields(struct)}


@each_struct
def test_schema_and_type_require_the_same_fields(
    path: str, struct: type[msgspec.Struct], schema: dict[str, Any]
) -> None:
    """The API server requires each field that the type requires, except in the status, which users do not write."""
    needed = {field.encode_name for field in msgspec.structs.fields(struct) if field.required}
    if struct is Status:
        needed = set()
    if struct is Condition:  # Always written; read without them, too, because an older operator may have omitted them.
        needed |= {"message", "lastTransitionTime"}
    assert set(schema.get("required", ())) == needed


@each_struct
def test_schema_and_type_agree_on_values(path: str, struct: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    """The JSON type and the enumeration of each field match its annotation."""
    for field in msgspec.structs.fields(struct):
        below = schema["properties"][field.encode_name]
        expected = plain(field.type)
        if isinstance(expected, type) and issubclass(expected, enum.StrEnum):
            assert set(below["enum"]) == {member.value for member in expected}, f"{path}.{field.encode_name}"
            assert below["type"] == "string"
        elif expected == int | str | None:
            assert below["x-kubernetes-int-or-string"], f"{path}.{field.encode_name}"
        elif expected in JSON_TYPES:
            assert below["type"] == JSON_TYPES[expected], f"{path}.{field.encode_name}"
        else:
            container = "array" if typing.get_origin(expected) is tuple else "object"
            assert below["type"] == container, f"{path}.{field.encode_name}"


@each_struct
def test_the_schema_allows_every_null_that_the_operator_writes(
    path: str, struct: type[msgspec.Struct], schema: dict[str, Any]
) -> None:
    """A type that writes its defaults encodes None as null."""
    if not struct.__struct_config__.omit_defaults:
        written_null = {field.encode_name for field in msgspec.structs.fields(struct) if field.default is None}
        assert all(schema["properties"][name].get("nullable") for name in written_null)


def test_a_condition_has_all_required_fields_of_kubernetes() -> None:
    """`metav1.Condition` requires five fields, and generic clients rely on them."""
    condition = SCHEMA["status"]["properties"]["conditions"]["items"]
    required = {"type", "status", "reason", "message", "lastTransitionTime"}
    assert set(condition["required"]) == required
    written = msgspec.to_builtins(Condition(type="Ready", status=Truth.TRUE, reason="Serving"))
    assert required <= written.keys()


def test_an_object_without_a_status_counts_as_not_observed() -> None:
    """The default is on the status itself; a default below it would not apply to an object without a status."""
    assert SCHEMA["status"]["default"] == {"observedGeneration": -1}


def test_replicas_has_the_only_default_and_the_type_has_the_same() -> None:
    """Any other default would roll pods when the definition is upgraded."""
    defaults = {
        f"{path}.{name}": below["default"]
        for path, _, schema in ALL
        for name, below in schema["properties"].items()
        if "default" in below
    }
    fields = {field.encode_name: field for field in msgspec.structs.fields(Spec)}
    assert defaults == {"spec.replicas": fields["replicas"].default}


def test_the_definition_has_the_names_of_the_code() -> None:
    """Group, version and names are the same as in the code."""
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == f"{PLURAL}.{GROUP}"
    assert (CRD["spec"]["group"], CRD["spec"]["versions"][0]["name"]) == (GROUP, VERSION)
    assert (names["kind"], names["plural"], names["shortNames"]) == (KIND, PLURAL, ["md"])


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_operator_can_read_each_example(example: Path) -> None:
    """The types can parse `examples/`; the API-server tier checks that the API server accepts them."""
    body = yaml.safe_load(example.read_text())
    body["metadata"]["namespace"] = "default"
    assert [model.name for model in parse(body).spec.models] == [model["name"] for model in body["spec"]["models"]]
