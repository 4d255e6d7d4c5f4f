"""The root command, and the only place that prints errors and maps them to exit statuses.

Input: the command line. Output: an exit status, as listed in the package's docstring. Commands raise exceptions.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from triton_operator import __version__
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.text import escape_lines
from triton_operator.cli.commands import PROGRAM, Commands
from triton_operator.cli.completion import COMPLETE, prepare_shells
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.sdk.errors import DeadlineExceededError, InvalidRequestError, SdkError, UnreachableError

OK, FAILED, USAGE, UNREACHABLE = range(4)

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    help="Inspect, test and deploy ModelDeployments: models served by NVIDIA Triton in Kubernetes.",
    epilog="Exit status: 0 success; 1 failed or not Ready; 2 usage or input error; 3 unreachable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich help imports a Markdown parser, which takes 0.2 s.
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(program: str = PROGRAM) -> int:
    """Run the command in `sys.argv` and return its exit status. Help and examples use `program` as the name."""
    if COMPLETE in os.environ:
        prepare_shells()
    try:
        app(prog_name=program)  # Set explicitly for `python -m`.
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except Exception as error:
        status_code = exit_status(error)
        if status_code is None:
            raise
        typer.echo(escape_lines(f"error: {error}"), err=True)
        return status_code
    return OK


def exit_status(error: Exception) -> int | None:
    """The exit status for an error; None for a bug, whose traceback should be shown."""
    match error:
        case UsageError() | InvalidSpecError() | InvalidRequestError():
            return USAGE
        case UnreachableError() | DeadlineExceededError():
            return UNREACHABLE
        case SdkError() | CommandFailedError():
            return FAILED
    return None


def _print_version(value: bool) -> None:  # noqa: FBT001 - the signature that typer expects.
    if value:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
