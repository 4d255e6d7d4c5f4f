"""The program and the one place where errors become an exit status.

Input: the command line. Output: an exit status (`cli` says which). Commands raise; nothing else prints errors.
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

OK, NOT_SO, USAGE, UNREACHABLE = range(4)

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    help="Look at, try and prepare ModelDeployments: models served by NVIDIA Triton in Kubernetes.",
    epilog="Exit status: 0 it is so, 1 it is not (for example not Ready), 2 wrong usage or file, 3 unreachable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Its help loads a Markdown reader: 0.2 s more for the same words.
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(program: str = PROGRAM) -> int:
    """Run the command of `sys.argv`; return its exit status. `program` is what help and examples call it."""
    if COMPLETE in os.environ:
        prepare_shells()
    try:
        app(prog_name=program)  # Also when it runs as a module.
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else NOT_SO
    except Exception as error:
        status_code = exit_status(error)
        if status_code is None:
            raise
        typer.echo(escape_lines(f"error: {error}"), err=True)
        return status_code
    return OK


def exit_status(error: Exception) -> int | None:
    """The exit status that an error stands for; None for what is a mistake of ours and deserves its traceback."""
    match error:
        case UsageError() | InvalidSpecError() | InvalidRequestError():
            return USAGE
        case UnreachableError() | DeadlineExceededError():
            return UNREACHABLE
        case SdkError() | CommandFailedError():
            return NOT_SO
    return None


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer's way to call it.
    if value:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass
