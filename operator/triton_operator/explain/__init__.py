"""Which parts of an input drove a prediction: asked of any model that answers, or computed from its file.

`explain` needs nothing but a callable, `explain_file` the TorchScript file and the extra `explain`.
`Client.explain` asks a served model, `tritonctl explain` does the same from the command line. Pure but for the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triton_operator.explain.errors import ExplanationError

if TYPE_CHECKING:
    from triton_operator.explain.black_box import explain
    from triton_operator.explain.explanation import Explanation
    from triton_operator.explain.gradients import explain_file
    from triton_operator.explain.names import Kind, Method
    from triton_operator.explain.question import Question

__all__ = ["Explanation", "ExplanationError", "Kind", "Method", "Question", "explain", "explain_file"]

_PLACES = {
    "Explanation": "explanation",
    "Kind": "names",
    "Method": "names",
    "Question": "question",
    "explain": "black_box",
    "explain_file": "gradients",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: numpy is half a second that `tritonctl --help` need not wait."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
