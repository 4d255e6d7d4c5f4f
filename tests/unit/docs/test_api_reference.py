"""The API reference is generated from the schema: it is complete and reproducible."""

from __future__ import annotations

import re
from typing import Any

import yaml

from hack.reference import DEFINITION, PAGE, render

DEFINED: dict[str, Any] = yaml.safe_load(DEFINITION.read_text())


def test_the_page_is_generated_from_the_crd() -> None:
    """After a change of the schema, run `make docs`."""
    assert PAGE.read_text() == render(DEFINED)


def test_every_field_of_the_schema_has_a_row() -> None:
    """Fields of a shared schema are in the section that uses it first."""
    root = DEFINED["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert fields(root["spec"]) | fields(root["status"]) <= rows


def fields(schema: dict[str, Any]) -> set[str]:
    """Names of all fields of an object and of its nested objects."""
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("properties", {}).values()]
    below = [fields(part) for part in inner if isinstance(part, dict)]
    return set(schema.get("properties", {})).union(*below)


def test_links_within_the_page_lead_to_a_section() -> None:
    """A type that is an object links to its fields."""
    text = PAGE.read_text()
    sections = {re.sub(r"\W", "", path).lower() for path in re.findall(r"^## `(.*)`$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= sections
