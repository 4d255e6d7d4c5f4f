"""`tritonctl mask-model`: write a model that masks personal data, and an ensemble that has it in front of a text model.

Input: a model repository, types and actions. Output: the folders of the masking model and of the ensemble.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError

EPILOG = """\b
Examples:
  tritonctl mask-model --to models
  tritonctl mask-model --to model_repository --before chinese_texts
  tritonctl mask-model --to models --before echo --types PHONE,ID_CARD,NAME --action mask --action NAME=replace
  tritonctl mask-model --to models --action hash --key-file hash.key
\b
Types: NAME, PHONE, ID_CARD, BANK_CARD, EMAIL, IP, PASSPORT, LICENSE_PLATE, ADDRESS.
Actions: mask (write asterisks), replace (write the type), hash (write the type and a keyed hash).
The model cannot restore masked values in a response. To restore them, mask in the client instead: see Client.masked in
the Python SDK.
"""


def mask_model(
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Model repository to write to.")] = Path(),
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the masking model.")] = "mask",
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="MODEL", help="Also write an ensemble that masks the text inputs of this model."
        ),
    ] = "",
    ensemble: Annotated[
        str, typer.Option("--ensemble", metavar="NAME", help="Name of the ensemble. [default: masked_MODEL]")
    ] = "",
    types: Annotated[
        str, typer.Option("--types", metavar="TYPE,…", help="Types of personal data to mask. [default: all]")
    ] = "",
    actions: Annotated[
        list[str] | None,
        typer.Option("--action", metavar="[TYPE=]ACTION", help="Action for all types or for one; repeatable."),
    ] = None,
    key_file: Annotated[
        str,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="File with the key for the action `hash`: an absolute path, or one relative to the version folder "
            "DIR/NAME/1, where this command writes model.py.",
        ),
    ] = "",
) -> None:
    """Write a model that masks personal data in Chinese and English text.

    The model is self-contained: it runs in Triton's Python backend without further packages. With --before, clients
    call the ensemble, and the models behind it see only masked text.
    """
    from triton_operator.cli.mask_model.actions import parse_actions
    from triton_operator.cli.mask_model.ensemble import ensemble_of, read_model, steps_of, texts_of
    from triton_operator.cli.mask_model.folder import Texts, write_mask
    from triton_operator.masking import MaskingError
    from triton_operator.triton.config.constants import CONFIG_NAME
    from triton_operator.triton.text.writer import write

    chosen = parse_actions(types, actions or [], key_file)
    config = read_model(folder, before) if before else {}
    texts = texts_of(before, config) if before else Texts()
    try:
        write_mask(folder / name, chosen, texts, key_file)
    except MaskingError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise CommandFailedError(f"{error.filename or folder}: {error.strerror or error}") from error
    typer.echo(f"{folder / name}: masks {', '.join(f'{kind} ({action})' for kind, action in chosen.items())}")
    if not before:
        return
    written = folder / (ensemble or f"masked_{before}")
    written.mkdir(exist_ok=True)
    (written / CONFIG_NAME).write_text(write(ensemble_of(written.name, config, name, before)), encoding="utf-8")
    served = [written.name, name, *(steps_of(config) or [before])]
    typer.echo(f"{written}: the deployment must list the models {', '.join(served)}; clients call {written.name}")
