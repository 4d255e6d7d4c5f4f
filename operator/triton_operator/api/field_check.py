"""Finds unknown fields and wrong types in plain data, with the paths of the fields.

Pure. Input: a value as JSON, and the type that it should have. Output: Problems. The CLI checks whole specs with it,
because an API server only drops unknown fields; `resources.pod_template` checks a pod template, which has no schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import msgspec

from triton_operator.api.errors import Problem


def unknown_fields(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    """Yield a Problem for every unknown field; `wrong_type` reports wrong types."""
    struct, many = struct_of(kind)
    if struct is None:
        return
    if many and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(item, struct, f"{path}[{index}]")
    elif isinstance(value, dict):
        known = fields_of(struct)
        for name, member in value.items():
            if name in known:
                yield from unknown_fields(member, known[name], f"{path}.{name}")
            else:
                yield Problem(f"{path}.{name}", _unknown(str(name), known))


@cache
def fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The types of the fields by their names in JSON. Cached: msgspec compiles each annotation again."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def _unknown(name: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return "unknown field; " + (f"did you mean {close[0]}?" if close else f"known fields: {', '.join(known)}")


def wrong_type(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    """Yield a Problem for the first value of a wrong type."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        yield Problem(f"{path}{where.rstrip('`')}", message)


def struct_of(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """Find the struct in `Struct`, `Struct | None` and `tuple[Struct, ...]`, and whether it is a list of them."""
    candidates = [kind, *get_args(kind)]
    found = next((each for each in candidates if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)
    return found, getattr(kind, "__origin__", None) is tuple
