"""Completion of `kubectl triton`, for which kubectl runs `kubectl_complete-triton`.

Input: the words after `kubectl triton`. Output: one candidate per line and a directive, in the format of cobra.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from typer.main import get_command

from triton_operator.cli.app import app
from triton_operator.cli.completion import Shell, completion_module, prepare_shells

_NO_FILES = 4
"""kubectl's directive not to complete file names (spf13/cobra, ShellCompDirectiveNoFileComp)."""
_DEFAULT = 0


def complete_for_kubectl(words: Sequence[str]) -> None:
    """Print one candidate per line, then the directive.

    `words` are the words after `kubectl triton`; the last one is incomplete and may be empty.
    """
    prepare_shells()
    bash = completion_module().shell_completion.get_completion_class(Shell.BASH.value)
    *before, typed = words or [""]
    found = bash(get_command(app), {}, "kubectl triton", "").get_completions(before, typed)
    for item in found:
        sys.stdout.write(f"{item.value}\t{item.help}\n" if item.help else f"{item.value}\n")
    sys.stdout.write(f":{_NO_FILES if found else _DEFAULT}\n")
