"""Label selectors select what Kubernetes selects."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.cluster.label_selector import Expression, StoredSelector, matches

KEYS = st.sampled_from(["app", "tier", "example.com/track"])
VALUES = st.sampled_from(["", "a", "b"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.one_of(
    st.builds(Expression, KEYS, st.sampled_from(["In", "NotIn"]), st.lists(VALUES, min_size=1, max_size=2).map(tuple)),
    st.builds(Expression, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
)
SELECTORS = st.builds(StoredSelector, LABELS, st.lists(EXPRESSIONS, max_size=3).map(tuple))


def model(selector: StoredSelector, labels: dict[str, str]) -> bool:
    """Each requirement as the set of the values that it permits, as in Kubernetes; None is an absent label."""
    anything: set[str | None] = {None, "", "a", "b"}
    requirements: list[tuple[str, set[str | None]]] = [(key, {value}) for key, value in selector.match_labels.items()]
    for each in selector.match_expressions:
        values: set[str | None] = {*each.values}
        permitted = {"In": values, "NotIn": anything - values, "Exists": anything - {None}}.get(each.operator, {None})
        requirements.append((each.key, permitted))
    return all(labels.get(key) in permitted for key, permitted in requirements)


@given(SELECTORS, LABELS)
def test_a_selector_matches_what_all_its_requirements_permit(selector: StoredSelector, labels: dict[str, str]) -> None:
    assert matches(selector, labels) is model(selector, labels)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "shop"}}, True),
        ({"matchLabels": {"app": "shop", "tier": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "bank"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "shop"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
    ],
)
def test_a_selector_is_read_as_the_api_server_writes_it(selector: dict[str, object], expected: bool) -> None:
    assert matches(msgspec.convert(selector, StoredSelector), {"app": "shop"}) is expected


def test_an_operator_that_is_not_known_counts_as_selecting() -> None:
    """A policy that may open the pods must not be overlooked."""
    assert matches(StoredSelector(match_expressions=(Expression("app", "Matches", ("sh*",)),)), {})
