"""The commands by name and summary, each loaded when it is run: `--help` stays quick however many there are.

Input: a command's name. Output: the command, from the module `NAME` or, for a family of files, `NAME.command`. The
module has a function of that name and the constant EPILOG. `app` builds the command tree from them. A new command is
one line here and its own file.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

PROGRAM = "tritonctl"

COMMANDS = {
    "render": "Print every object that the operator would make, without a cluster.",
    "lint": "Find what would keep models from being served, without a cluster.",
    "run": "Serve models on this machine, without a cluster.",
    "export": "Make a TorchScript file with its signature out of a PyTorch module.",
    "compress": "Make a module smaller, pruned or in fewer bits, and export it if it stays good enough.",
    "deploy": "Create or change deployments, and wait until they serve.",
    "status": "Say whether a deployment serves every model, and if it does not, why.",
    "infer": "Ask a deployment with pictures, texts, tables or JSON.",
    "explain": "Say which parts of an input drove a prediction.",
    "logs": "Print what the containers of a deployment wrote, and follow them.",
    "top": "Show what each model does just now: requests, latency, queue, batches.",
    "bench": "Load a deployment for a bounded time and print rates and latencies.",
    "doctor": "Check the cluster, the operator and your permissions.",
    "completion": "Print a script that completes commands and names in a shell.",
}
"""In the order of the help."""

FAMILIES = frozenset({"bench", "doctor", "explain", "lint", "logs", "run", "status", "top"})
"""Commands that have a folder of their own."""


class Commands(TyperGroup):
    """The command tree: the names are known, the rest of a command is imported when it is chosen."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the arguments name; the base class refuses a wrong one with suggestions."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(str(name), str(ctx.find_root().info_name)), rest


def command_module(name: str) -> ModuleType:
    """Import the module of a command."""
    return import_module(f"triton_operator.cli.{name}.command" if name in FAMILIES else f"triton_operator.cli.{name}")


def load(name: str, program: str = PROGRAM) -> Any:
    """Import a command; its examples call the program by the name under which it runs."""
    module = command_module(name)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name, epilog=module.EPILOG.replace(f"  {PROGRAM} ", f"  {program} "))(getattr(module, name))
    return get_command(single)
