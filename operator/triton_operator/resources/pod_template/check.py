"""Checks `spec.podTemplate.spec`, and reports everything that would weaken the pods, or that the operator cannot judge.

Pure. Input: a spec. Output: Problems with the paths of the fields. The template is not merged before it is
checked, so what is accepted may be merged without further checks. `pod_metadata` checks labels and annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

from triton_operator.api.errors import MOST_PROBLEMS, Problem
from triton_operator.api.field_check import unknown_fields, wrong_type
from triton_operator.api.pod_parts import ContainerParts, PodParts, Volume
from triton_operator.api.pod_template import MOST_BYTES, MOST_LEVELS, PodTemplate
from triton_operator.api.spec import Spec
from triton_operator.resources.pod_template.containers import check_added_container, refused_fields
from triton_operator.resources.pod_template.own_containers import check_own_container
from triton_operator.resources.pod_template.pod_facts import OWN_CONTAINERS, PodFacts, gather_facts
from triton_operator.resources.pod_template.pod_fields import check_spread, split_refused
from triton_operator.resources.pod_template.resources import check_claims
from triton_operator.resources.pod_template.security import check_pod_security
from triton_operator.resources.pod_template.volumes import check_sources, check_volume, refused_types

PATH = "spec.podTemplate.spec"

_Part = TypeVar("_Part", ContainerParts, Volume, PodParts)
_LISTS = ("initContainers", "containers", "volumes")
"""Fields that are checked item by item."""


def find_template_problems(spec: Spec, name: str) -> list[Problem]:
    """What is wrong with the template of an object with this name; at most one more Problem than an error lists."""
    template = spec.pod_template
    if template == PodTemplate():
        return []
    if beyond := _beyond_bounds(template):
        return [beyond]
    return list(islice(_find_problems(spec, name), MOST_PROBLEMS + 1))


def _find_problems(spec: Spec, name: str) -> Iterator[Problem]:
    rest, problems = split_refused(spec.pod_template.spec_without_nulls(), PATH)
    facts = gather_facts(spec, name, _names(rest.get("volumes")))
    yield from problems
    yield from _check_pod({field: value for field, value in rest.items() if field not in _LISTS}, PATH, facts)
    yield from _check_volumes(rest.get("volumes", []), f"{PATH}.volumes", facts)
    yield from _check_containers(rest, PATH, facts)


def _beyond_bounds(template: PodTemplate) -> Problem | None:
    size = len(msgspec.json.encode(template.spec))
    if size > MOST_BYTES:
        return Problem(PATH, f"is {size // 1024} KiB of JSON; at most {MOST_BYTES // 1024} KiB are allowed")
    if _levels(template.spec) > MOST_LEVELS:
        return Problem(PATH, f"is nested deeper than {MOST_LEVELS} levels")
    return None


def _levels(value: Any) -> int:
    """Nested objects and lists; the operator and the CLI read no value that is deeper than Python's stack."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if members is None else 1 + max(map(_levels, members), default=0)


def _names(items: Any) -> list[str]:
    """The names in a list that may have any content."""
    named = [item.get("name") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [name for name in named if isinstance(name, str)]


def _check_pod(fields: dict[str, Any], path: str, facts: PodFacts) -> Iterator[Problem]:
    """The fields of the pod, each on its own, so that one of a wrong type does not hide others."""
    for name, value in fields.items():
        yield from _check_types({name: value}, PodParts, path)
        if name == "securityContext" and (parts := _read({name: value}, PodParts)):
            yield from check_pod_security(parts.security_context, f"{path}.{name}")
        if name == "topologySpreadConstraints" and _read({name: value}, PodParts):
            yield from check_spread(value, f"{path}.{name}", facts)
        if name == "resourceClaims" and value and _read({name: value}, PodParts):
            yield from check_claims(f"{path}.{name}", facts)
            for own in sorted(facts.own_claims & {*_names(value)}):
                yield Problem(f"{path}.{name}", f"{own} is the name of a claim in spec.gpu; choose another name")


def _check_volumes(items: Any, path: str, facts: PodFacts) -> Iterator[Problem]:
    yield from _check_list(items, path)
    for place, item in _objects(items, path):
        problems = list(refused_types(item, place))
        refused = {problem.path.rpartition(".")[2] for problem in problems}
        rest = {name: value for name, value in item.items() if name not in refused}
        yield from problems
        yield from check_sources(item, place)
        yield from _check_types(rest, Volume, place)
        if volume := _read(rest, Volume):
            yield from check_volume(volume, place, facts)


def _check_containers(spec: dict[str, Any], path: str, facts: PodFacts) -> Iterator[Problem]:
    first, second = (_names(spec.get(listed)) for listed in ("initContainers", "containers"))
    for name in sorted({*first} & {*second} - OWN_CONTAINERS.keys()):
        yield Problem(f"{path}.containers", f"{name} is used twice, here and in initContainers")
    for listed in ("initContainers", "containers"):
        items = spec.get(listed, [])
        yield from _check_list(items, f"{path}.{listed}")
        for place, item in _objects(items, f"{path}.{listed}"):
            yield from _check_container(item, listed, place, facts)


def _check_container(item: dict[str, Any], listed: str, path: str, facts: PodFacts) -> Iterator[Problem]:
    problems = list(refused_fields(item, path))
    refused = {problem.path.rpartition(".")[2] for problem in problems}
    rest = {name: value for name, value in item.items() if name not in refused}
    yield from problems
    yield from _check_types(rest, ContainerParts, path)
    container = _read(rest, ContainerParts)
    if container is None:
        return
    if container.name in OWN_CONTAINERS:
        yield from check_own_container(container, rest, listed, path, facts)
    else:
        yield from check_added_container(container, listed, path, facts)


def _check_list(items: Any, path: str) -> Iterator[Problem]:
    """What is wrong with the list itself."""
    if not isinstance(items, list):
        yield Problem(path, "must be a list")
        return
    for name in (name for name, count in Counter(_names(items)).items() if count > 1):
        yield Problem(path, f"{name} is used twice")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            yield Problem(f"{path}[{index}]", "must be an object")


def _objects(items: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, item) of each object in the list."""
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield f"{path}[{index}]", item


def _check_types(value: dict[str, Any], kind: type[_Part], path: str) -> Iterator[Problem]:
    yield from unknown_fields(value, kind, path)
    yield from wrong_type(value, kind, path)


def _read(value: dict[str, Any], kind: type[_Part]) -> _Part | None:
    """The typed value; None if a part has a wrong type, which `_check_types` reports."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
