"""Programs in Lua that HAProxy runs, where its configuration has no expression for a decision.

Input: nothing. Output: their text, which becomes part of the rendered files.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.proxy.admissions import ADMISSIONS
from triton_operator.proxy.refusals import RESPONSES

_SCRIPTS = (
    "withdrawals.lua",
    "grpc_messages.lua",
    "certificate_names.lua",
    "refusal_service.lua",
    "verify_token.lua",
    "cancelled_streams.lua",
)


def script_files() -> dict[str, str]:
    """The programs, by file name."""
    return {name: Path(__file__).with_name(name).read_text(encoding="ascii") for name in _SCRIPTS}


def load_scripts(folder: str) -> list[str]:
    """Lines of the section `global`; each thread has its own copy, so that threads do not wait for each other."""
    return [f"lua-load-per-thread {folder}/{name}" for name in (RESPONSES, ADMISSIONS, *_SCRIPTS)]
