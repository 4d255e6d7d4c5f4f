"""The schema documents and bounds each field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from triton_operator.api.names import SCALE_MANAGER, child_labels, config_map_name, headless_service_name, revision_name

FILE = ROOT / "crds" / "modeldeployments.yaml"
CRD: dict[str, Any] = yaml.safe_load(FILE.read_text())
VERSION: dict[str, Any] = CRD["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]["properties"]
LARGEST_BYTES = 240_000
LARGEST_FILE_BYTES = 280_000
"""Indentation and comments are not stored."""
DNS_LABEL = 63

Node = tuple[str, dict[str, Any]]


def nodes(schema: dict[str, Any], path: str) -> Iterator[Node]:
    """(path, schema) of `schema` and of everything below it."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


ALL = [*nodes(SCHEMA["spec"], "spec"), *nodes(SCHEMA["status"], "status")]
FIELDS = [node for node in ALL if not node[0].endswith(("[]", "{}"))]


@pytest.mark.parametrize(("path", "schema"), FIELDS, ids=[path for path, _ in FIELDS])
def test_every_field_has_a_description_in_sentences(path: str, schema: dict[str, Any]) -> None:
    """`kubectl explain` prints the descriptions."""
    description = schema.get("description", "")
    assert len(description) > 10
    assert description.endswith(".")


def test_every_string_is_bounded() -> None:
    """The API server must be able to compute the cost of every rule, and a status must fit into etcd."""
    strings = [node for node in ALL if node[1].get("type") == "string" or "x-kubernetes-int-or-string" in node[1]]
    assert [path for path, schema in strings if not {"maxLength", "enum", "format"} & schema.keys()] == []


def test_every_list_is_bounded_and_defines_how_it_merges() -> None:
    """Server-side apply depends on whether a list is atomic or a map."""
    lists = [node for node in ALL if node[1].get("type") == "array"]
    assert [path for path, schema in lists if not {"maxItems", "x-kubernetes-list-type"} <= schema.keys()] == []


def test_every_map_is_bounded() -> None:
    """Including maps with arbitrary keys."""
    maps = [node for node in ALL if "additionalProperties" in node[1] or "properties" not in node[1]]
    free = [(path, schema) for path, schema in maps if schema.get("type") == "object"]
    assert [path for path, schema in free if "maxProperties" not in schema] == []


def test_every_number_of_the_spec_has_bounds() -> None:
    """A replica count of two billion is a typo."""
    numbers = [node for node in ALL if node[1].get("type") == "integer" and node[0].startswith("spec")]
    unbounded = {path for path, schema in numbers if not {"minimum", "maximum"} <= schema.keys()}
    assert unbounded == {"spec.scheduling.tolerations[].tolerationSeconds"}


def test_every_rule_has_a_message() -> None:
    """Without a message, users would see the CEL expression."""
    rules = [(path, rule) for path, schema in ALL for rule in schema.get("x-kubernetes-validations", ())]
    assert rules
    assert [path for path, rule in rules if not rule.get("message")] == []


def test_the_definition_is_small() -> None:
    """Below the size limits of an object and of `kubectl apply`'s annotation, which is 262,144 bytes."""
    assert len(FILE.read_bytes()) < LARGEST_FILE_BYTES
    assert len(json.dumps(CRD, separators=(",", ":"))) < LARGEST_BYTES


def test_the_longest_name_fits_all_children() -> None:
    """Children's names are DNS labels, and so are label values."""
    name = "a" * VERSION["schema"]["openAPIV3Schema"]["properties"]["metadata"]["properties"]["name"]["maxLength"]
    suffixed = [
        headless_service_name(name),
        config_map_name(name, b""),
        revision_name(name, b""),
        f"{name}-cache-{0:08}",
    ]
    pod_of_deployment = f"{name}-0123456789-abcde"
    assert max(map(len, [*suffixed, pod_of_deployment, *child_labels(name).values(), SCALE_MANAGER])) <= DNS_LABEL


def test_the_columns_show_the_reason() -> None:
    """`kubectl get` shows the reason by default, and the message with `--output wide`."""
    columns = {column["name"]: column.get("priority", 0) for column in VERSION["additionalPrinterColumns"]}
    assert columns["Ready"] == columns["Reason"] == 0
    assert columns["Message"] == 1
