"""`tritonctl verify`: check the signatures of models, as serving pods do.

Input: model folders or a model repository, and public keys. Output: the signer of each model, or what differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import Output
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import print_data, say

if TYPE_CHECKING:
    from triton_operator.signing.keys import VerificationKey

EPILOG = """\b
Examples:
  tritonctl verify model_repository --key release.key.pub
  tritonctl verify models/digits --key old.pub --key new.pub -o json
\b
A key is a public key or a CA certificate, in PEM form. The output identifies each key by its file name.
"""


class Checked(NamedTuple):
    """The result for one model: the key that signed it, or why pods would reject it."""

    model: str
    signed_by: str
    reason: str
    message: str


def verify(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Model folders or model repositories.")],
    keys: Annotated[
        list[Path], typer.Option("--key", metavar="FILE", help="Public key or certificate in PEM form; repeatable.")
    ],
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check the signatures of models.

    The exit status is 1 if a model is not signed with one of the keys, and 2 if a path or a key is invalid.
    """
    from triton_operator.cli.model_folders import model_folders
    from triton_operator.signing.errors import KeyFileError
    from triton_operator.signing.keys import read_key

    try:
        known = [read_key(file.name, file) for file in keys]
    except KeyFileError as error:
        raise UsageError(f"--key: {error}") from error
    models = model_folders(paths)
    results = [_check(model, known) for model in models]
    _print(results, output)
    refused = sum(bool(result.reason) for result in results)
    if refused:
        raise CommandFailedError(f"{refused} of {len(results)} models would be rejected")


def _check(model: Path, known: list[VerificationKey]) -> Checked:
    from triton_operator.signing.errors import VerificationError
    from triton_operator.signing.verify import verify_model

    try:
        return Checked(str(model), verify_model(model, model.resolve().name, known), "", "")
    except VerificationError as error:
        return Checked(str(model), "", error.reason, str(error))


def _print(results: list[Checked], output: OutputFormat) -> None:
    if output is not OutputFormat.TABLE:
        print_data([result._asdict() for result in results], output)
        return
    for result in results:
        found = f"{result.reason}: {result.message}" if result.reason else f"signed by {result.signed_by}"
        say(f"{result.model}: {found}")
