"""The format of a command's `--help`: arguments are shown by name, without Python types.

Input: a command's parameters. Output: the usage line and the list of options. Typer shows the type of an argument even
if it has a metavar, and puts required arguments in braces, which mark choices in the usage of Kubernetes tools.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """A command with this format."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and parameter.param_type_name == "argument":
                arguments.append((_shown(parameter), record[1]))
            elif record:
                options.append(record)
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _shown(argument: Any) -> str:
    name: str = argument.metavar or argument.name
    return name if argument.nargs == 1 else f"{name}..."
