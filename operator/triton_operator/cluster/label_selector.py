"""Label selectors with the exact rules of Kubernetes (labels.Selector). Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from triton_operator.cluster.observed import Record


class Expression(Record, frozen=True):
    """One entry of `matchExpressions`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class StoredSelector(Record, frozen=True, rename="camel"):
    """A `metav1.LabelSelector`: all labels and all expressions must match, so an empty one matches everything."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[Expression, ...] = ()


def matches(selector: StoredSelector, labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is selected."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(expression, labels) for expression in selector.match_expressions
    )


def _holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    """Whether the labels match; an unknown `operator` of a later API version matches, so no policy is overlooked."""
    match expression.operator:
        case "In":
            return expression.key in labels and labels[expression.key] in expression.values
        case "NotIn":
            return expression.key not in labels or labels[expression.key] not in expression.values
        case "Exists":
            return expression.key in labels
        case "DoesNotExist":
            return expression.key not in labels
        case _:
            return True
