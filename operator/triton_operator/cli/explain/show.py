"""Print an explanation, and save its picture.

Input: an explanation and the options for output. Output: text, JSON or YAML on standard output, and a PNG file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from triton_operator.cli.failures import UsageError
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import print_data

if TYPE_CHECKING:
    from triton_operator.explain import Explanation


def show(found: Explanation, output: OutputFormat, png: Path | None, font: Path | None) -> None:
    """Print the explanation, and save it to `png` if given; raises UsageError if the file cannot be written."""
    from triton_operator.explain import ExplanationError

    if output is OutputFormat.TABLE:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 120
        typer.echo(found.text(colour=colour, width=width), nl=False, color=colour)
    else:
        print_data(found.to_json(), output)
    if png:
        try:
            found.save_png(png, font=font)
        except ExplanationError as error:
            raise UsageError(f"--{error}") from error
        except OSError as error:
            raise UsageError(f"--png {png}: {error.strerror or error}") from error
        typer.echo(f"saved {png}", err=True)
