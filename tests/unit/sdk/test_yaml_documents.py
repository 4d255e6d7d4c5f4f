"""Untrusted YAML: valid manifests are read, and malicious ones cause an error message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.sdk.yaml_documents import DEEPEST, YamlError, load_documents, read_documents

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


def laughs(levels: int) -> str:
    """Nine aliases of nine aliases of …: 9 to the power of `levels` values in a few hundred bytes."""
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def merged(levels: int) -> str:
    """The same by merging mappings."""
    lines = ["a0: &a0 {k: v}"] + [
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels + 1)
    ]
    return "\n".join(lines)


@settings(deadline=None)
@given(st.lists(VALUES, max_size=3))
def test_values_of_json_are_read_back(documents: list[Any]) -> None:
    assert list(load_documents(yaml.safe_dump_all(documents))) == documents


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[" * 5000, f"nested more than {DEEPEST} deep"),
        ("".join(" " * depth + "a:\n" for depth in range(500)), f"nested more than {DEEPEST} deep"),
        ("- " * 5000, f"nested more than {DEEPEST} deep"),
        (laughs(20), "with its aliases it has more than"),
        (merged(20), "with its aliases it has more than"),
        ("a: &a [1, *a]", "*a in line 1 refers to a value that contains it"),
        ("a: &a {b: *a}", "refers to a value that contains it"),
        ("a: *b", "is not YAML"),
        ('a: "\\ud800"', "line 1: half of a surrogate pair is not a character"),
        ('"\\udfff": a', "line 1: half of a surrogate pair is not a character"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "line 4: 'b' is given twice"),
        ("a: &a {b: 1, b: 2}\nc: *a", "'b' is given twice"),
        ("a: [", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "is not YAML"),
        ("a: !!binary aGk=", "!!binary"),
        ("a: !!set {b}", "set"),
        ("? [a, b]\n: c", "is not YAML"),
        ("a: " + "9" * 5000, "has a value that cannot be read"),
        ("a: !!int x", "has a value that cannot be read"),
        ("a: \x00", "is not YAML"),
    ],
)
def test_what_does_harm_is_refused_in_one_sentence(text: str, complaint: str) -> None:
    with pytest.raises(YamlError) as refused:
        list(load_documents(text))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_anchors_and_merges_of_a_usual_size_are_read() -> None:
    assert list(load_documents("a: &a {b: 1}\nc: {<<: *a, d: 2}\ne: [*a, *a]")) == [
        {"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": [{"b": 1}, {"b": 1}]}
    ]


def test_a_field_overrides_a_merged_one() -> None:
    """And keys of different types are different fields."""
    (document,) = load_documents("a: &a {b: 1}\nc: {<<: *a, b: 2}\nd: [*a, *a]\n1: x\n'1': y")
    assert document["c"] == {"b": 2}


def test_a_date_is_a_text_as_it_is_to_kubectl() -> None:
    assert list(load_documents("day: 2026-11-29\nnone: 2026-99-99\nat: 2026-11-29T10:00:00Z")) == [
        {"day": "2026-11-29", "none": "2026-99-99", "at": "2026-11-29T10:00:00Z"}
    ]


def test_a_file_of_any_size_is_not_read_into_memory(tmp_path: Path) -> None:
    sparse = tmp_path / "a.yaml"
    with sparse.open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(YamlError, match="is larger than"):
        list(read_documents(sparse))


@pytest.mark.parametrize(("content", "complaint"), [(None, "No such file"), (b"a: \xff", "is not text")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "a.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(YamlError, match=complaint):
        list(read_documents(file))
