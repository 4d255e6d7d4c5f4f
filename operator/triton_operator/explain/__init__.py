"""Attribute a prediction to the parts of an input, from outputs of any model or from a model file.

`explain` requires only a callable; `explain_file` requires a TorchScript file and the extra `explain`. `Client.explain`
and `tritonctl explain` use them for served models. Pure, except for the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triton_operator.explain.errors import ExplanationError

if TYPE_CHECKING:
    from triton_operator.explain.black_box import explain
    from triton_operator.explain.explanation import Explanation
    from triton_operator.explain.explanation_request import ExplanationRequest
    from triton_operator.explain.gradients import explain_file
    from triton_operator.explain.names import Method, RowKind

__all__ = ["Explanation", "ExplanationError", "ExplanationRequest", "Method", "RowKind", "explain", "explain_file"]

_PLACES = {
    "Explanation": "explanation",
    "RowKind": "names",
    "Method": "names",
    "ExplanationRequest": "explanation_request",
    "explain": "black_box",
    "explain_file": "gradients",
}


def __getattr__(name: str) -> Any:
    """Import names on first use, because importing numpy takes 0.5 s, which `tritonctl --help` does not need."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
