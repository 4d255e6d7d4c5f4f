"""`tritonctl completion`: completion scripts for bash, zsh and fish.

Input: a shell's name. Output: a script, which runs `tritonctl` whenever the user requests completions. For
`kubectl triton`, kubectl runs `kubectl_completion` instead.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any

import typer

EPILOG = """\b
Examples:
  tritonctl completion bash > ~/.local/share/bash-completion/completions/tritonctl
  tritonctl completion zsh > ~/.zfunc/_tritonctl        # add fpath+=~/.zfunc before compinit in ~/.zshrc
  tritonctl completion fish > ~/.config/fish/completions/tritonctl.fish
\b
The kubectl plugin `kubectl triton` does not need a script, because kubectl's own completion covers it.
"""

COMPLETE = "_TRITONCTL_COMPLETE"
"""The environment variable that the script sets; typer derives the name from the program's."""


class Shell(StrEnum):
    """A supported shell."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Shell to print the script for: bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands, options and object names in a shell."""
    from triton_operator.cli.commands import PROGRAM

    typer.echo(completion_module().get_completion_script(prog_name=PROGRAM, complete_var=COMPLETE, shell=shell.value))


def prepare_shells() -> None:
    """Enable typer's completion, which `add_completion=False` disables."""
    completion_module().completion_init()


def completion_module() -> Any:
    """The module behind typer's `--show-completion`; it is public, but not exported to type checkers."""
    return import_module("typer.completion")
