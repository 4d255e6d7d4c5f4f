"""`tritonctl completion`: completion in bash, zsh and fish, and for the plugin by kubectl itself.

Input: a shell's name, or a half command line. Output: a script, or how the line may go on. The script calls
`tritonctl` back at each press of the key; names of deployments come from kubectl (`names`).
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any

import typer

EPILOG = """\b
Examples:
  tritonctl completion bash > ~/.local/share/bash-completion/completions/tritonctl
  tritonctl completion zsh > ~/.zfunc/_tritonctl        (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  tritonctl completion fish > ~/.config/fish/completions/tritonctl.fish
\b
`kubectl triton` is completed by kubectl's own script, with nothing to set up.
"""

COMPLETE = "_TRITONCTL_COMPLETE"
"""The variable by which the script asks; typer makes the name from the program's."""


class Shell(StrEnum):
    """A shell that we write a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that will read it.")]) -> None:
    """Print a script that makes a shell complete commands, options and the names of deployments."""
    from triton_operator.cli.commands import PROGRAM

    typer.echo(machinery().get_completion_script(prog_name=PROGRAM, complete_var=COMPLETE, shell=shell.value))


def prepare_shells() -> None:
    """Let typer answer the scripts; without its own options for installing them it does not do so by itself."""
    machinery().completion_init()


def machinery() -> Any:
    """What typer's own `--show-completion` uses; it is public there, but not exported to type checkers."""
    return import_module("typer.completion")
