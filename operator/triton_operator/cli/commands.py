"""The list of commands with their summaries. A command's module is imported only when the command runs.

Input: a command's name. Output: the command, from the module `NAME` or from the package `NAME` (`NAME.command`). The
module defines a function with that name and the constant EPILOG. To add a command, add a line to COMMANDS and
its module; for a package, also add its name to PACKAGES.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from triton_operator.cli.help_format import Command

PROGRAM = "tritonctl"

COMMANDS = {
    "render": "Print the Kubernetes objects that the operator would create, without a cluster.",
    "lint": "Check models and ModelDeployments for errors, without a cluster.",
    "run": "Serve models on this machine, without a cluster.",
    "export": "Export a PyTorch module to a model repository.",
    "compress": "Prune or quantize a PyTorch module, and export it if it stays accurate enough.",
    "mask-model": "Write a model that masks personal data before a text model sees it.",
    "deploy": "Create or update ModelDeployments, and optionally wait until they are Ready.",
    "status": "Show whether a ModelDeployment is Ready and, if not, why.",
    "rollout": "Follow, list, pause, resume and restart the rollouts of a ModelDeployment.",
    "infer": "Send an inference request: images, text, CSV or JSON.",
    "explain": "Show which parts of an input influenced a prediction.",
    "logs": "Print the logs of a ModelDeployment's containers.",
    "top": "Show the request rate, latency, queue time and batch size of each model.",
    "bench": "Measure throughput and latency under load.",
    "sign": "Sign models with a private key.",
    "verify": "Check the signatures of models.",
    "encrypt": "Encrypt models, so that only pods with the key can read them.",
    "decrypt": "Decrypt models.",
    "ca": "Print the CA certificates that verify the certificate of a ModelDeployment.",
    "token": "Issue, list and revoke tokens for the callers of a ModelDeployment.",
    "privacy": "Report the privacy controls of a ModelDeployment with evidence, for an audit.",
    "doctor": "Check the cluster, the operator and your permissions.",
    "completion": "Print a shell completion script.",
}
"""In the order in which `--help` lists them."""

PACKAGES = frozenset(
    {"bench", "doctor", "explain", "lint", "logs", "mask-model", "privacy", "rollout", "run", "status", "token", "top"}
)
"""Commands that are packages."""


class Commands(TyperGroup):
    """A command group that imports a command when it is invoked."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that the arguments name; the base class rejects an unknown name with suggestions."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(str(name), str(ctx.find_root().info_name)), rest


def command_module(name: str) -> ModuleType:
    """Import the module of a command."""
    place = f"triton_operator.cli.{_identifier(name)}"
    return import_module(f"{place}.command" if name in PACKAGES else place)


def load(name: str, program: str = PROGRAM) -> Any:
    """Import a command; its examples use the name under which the program runs."""
    module = command_module(name)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    epilog = module.EPILOG.replace(f"  {PROGRAM} ", f"  {program} ")
    single.command(name, cls=Command, epilog=epilog)(getattr(module, _identifier(name)))
    return get_command(single)


def _identifier(name: str) -> str:
    """Return the name of a command's module and function."""
    return name.replace("-", "_")
