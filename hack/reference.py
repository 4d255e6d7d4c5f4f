"""Generate docs/api-reference.md from the CRD: every field with its type, bounds and rules.

Input: crds/modeldeployments.yaml, whose descriptions are the documentation. Output: one Markdown page, the same bytes
for the same schema. `make docs` calls it; a unit test compares the page with the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEFINITION = ROOT / "crds" / "modeldeployments.yaml"
PAGE = ROOT / "docs" / "api-reference.md"

Schema: TypeAlias = dict[str, Any]

_INTRODUCTION = """\
# API reference

`{version}`, kind `{kind}` (short `{short}`). `make docs` generates this page from
[the CRD](../crds/modeldeployments.yaml);
`kubectl explain {short}.spec` shows the same in a terminal. Every field is optional unless it is marked as *required*.
Some defaults are not in the schema: the operator applies them when it renders pods, and does not store them in the
object. The API server rejects a value that violates a bound or a rule, and reports the path of the field.
"""


class Section(NamedTuple):
    """An object of the schema, with its path."""

    path: str
    schema: Schema


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(yaml.safe_load(DEFINITION.read_text())))


def render(definition: Schema) -> str:
    """The page for a CustomResourceDefinition; raises KeyError for one without a version."""
    spec = definition["spec"]
    version = spec["versions"][0]
    names = spec["names"]
    introduction = _INTRODUCTION.format(
        version=f"{spec['group']}/{version['name']}", kind=names["kind"], short=names["shortNames"][0]
    )
    roots = version["schema"]["openAPIV3Schema"]["properties"]
    seen: dict[int, str] = {}
    parts = [section for name in ("spec", "status") for section in _sections(name, roots[name], seen)]
    sections = [_section(section, seen) for section in parts]
    return "\n".join([introduction, *sections])


def _sections(path: str, schema: Schema, seen: dict[int, str]) -> Iterator[Section]:
    """The object and all nested objects, in the order of the schema; a shared object (a YAML alias) only once."""
    if id(schema.get("properties")) in seen:
        return
    seen[id(schema["properties"])] = path
    yield Section(path, schema)
    for name, field in schema["properties"].items():
        inner, suffix = _inner(field)
        if inner.get("properties"):
            yield from _sections(f"{path}.{name}{suffix}", inner, seen)


def _inner(field: Schema) -> tuple[Schema, str]:
    """The schema of a list's or map's elements and the suffix of its path; otherwise the field's own schema."""
    if "items" in field:
        inner, suffix = _inner(field["items"])
        return inner, f"[]{suffix}"
    if isinstance(field.get("additionalProperties"), dict):
        inner, suffix = _inner(field["additionalProperties"])
        return inner, f"{{}}{suffix}"
    return field, ""


def _section(section: Section, seen: dict[int, str]) -> str:
    required = set(section.schema.get("required", ()))
    lines = [f"## `{section.path}`", "", _text(section.schema.get("description", "")), ""]
    lines += [f"- Rule: {rule}" for rule in _rules(section.schema)]
    if lines[-1]:
        lines.append("")
    lines += ["| field | type | meaning |", "|---|---|---|"]
    for name, field in section.schema["properties"].items():
        home = _home(field, seen)
        kind = f"[{_type_name(field)}](#{_anchor(home)})" if home else _type_name(field)
        demand = ", *required*" if name in required else ""
        lines.append(f"| `{name}` | {kind}{demand} | {_meaning(field)} |")
    return "\n".join([*lines, ""])


def _home(field: Schema, seen: dict[int, str]) -> str:
    """The section with the field's nested fields; "" if it has none."""
    properties = _inner(field)[0].get("properties")
    return seen[id(properties)] if properties else ""


def _anchor(path: str) -> str:
    """The anchor that Markdown renderers generate for a heading."""
    return "".join(character for character in path.lower() if character.isalnum())


def _type_name(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in field:
        return f"list of {_type_name(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map of string to {_type_name(field['additionalProperties'])}"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("type", "any"))


def _meaning(field: Schema) -> str:
    inner, _ = _inner(field)
    parts = [_text(field.get("description", ""))]
    if inner is not field and inner.get("description") and not inner.get("properties"):
        parts.append(_text(inner["description"]))
    parts += [f"Bounds: {bounds}." for bounds in _bounds(field)]
    parts += [f"Rule: {rule}." for rule in (*_rules(field), *_element_rules(field))]
    return " ".join(part for part in parts if part)


def _bounds(field: Schema) -> Iterator[str]:
    """The bounds of the field in words, followed by those of its elements."""
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "length at least {}",
        "maxLength": "length at most {}",
        "minItems": "number of entries at least {}",
        "maxItems": "number of entries at most {}",
        "minProperties": "number of entries at least {}",
        "maxProperties": "number of entries at most {}",
        "default": "default {}",
    }
    rows = [word.format(field[key]) for key, word in words.items() if key in field and not isinstance(field[key], dict)]
    if "pattern" in field:
        rows.append(f"`{_text(field['pattern'])}`")
    if rows:
        yield ", ".join(rows)
    if "items" in field and not field["items"].get("properties"):
        yield from (f"for each entry, {bounds}" for bounds in _bounds(field["items"]))


def _rules(schema: Schema) -> list[str]:
    return [_text(rule["message"]) for rule in schema.get("x-kubernetes-validations", ()) if "message" in rule]


def _element_rules(field: Schema) -> list[str]:
    """Rules of a list's scalar elements; the rules of objects are in their own section."""
    inner, _ = _inner(field)
    return [] if inner is field or inner.get("properties") else _rules(inner)


def _text(text: str) -> str:
    """Format a text as one line for a table cell."""
    return " ".join(text.split()).replace("|", "\\|").rstrip(".") + ("." if text.rstrip().endswith(".") else "")


if __name__ == "__main__":
    main()
