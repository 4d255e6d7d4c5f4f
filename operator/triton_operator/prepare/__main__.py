"""Command line of `prepare`: run the steps and report the outcome to the kubelet and to people.

Exit code: 0 if every model is laid out, MISTAKE if a user must fix an error, 1 if a retry may help, 2 for wrong
arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from triton_operator.api.conditions import TERMINAL, Reason
from triton_operator.cpu_server.entrypoint import forbid_core_dumps
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.steps import Folders, fetch_only, prepare
from triton_operator.triton.prepare_contract import request as layout
from triton_operator.triton.prepare_contract.outcome import MISTAKE, Prepared, PrepareFailed, encode, escaped


def main(arguments: list[str] | None = None) -> int:
    """Prepare the pod; returns the exit code."""
    options = _parser().parse_args(arguments)
    forbid_core_dumps()  # of keys and decrypted models
    outcome = _run(options)
    _report(outcome, options.termination_log)
    if isinstance(outcome, Prepared):
        return 0
    return MISTAKE if outcome.reason in TERMINAL else 1


def _run(options: argparse.Namespace) -> Prepared | PrepareFailed:
    """Run the steps; every exception becomes an outcome, because a traceback does not help the object's owner."""
    try:
        if options.fetch_only:
            return fetch_only(options.config)
        folders = Folders(options.models, options.verified, options.plaintext, options.keyset, options.vault)
        return prepare(options.config, options.source, folders)
    except PrepareError as error:
        return PrepareFailed(error.reason, error.model, str(error))
    except Exception as error:  # noqa: BLE001 -- the process ends and reports the error
        return PrepareFailed(Reason.PREPARE_FAILED, "", describe(error))


def describe(error: Exception) -> str:
    """An unexpected error, in one line."""
    if isinstance(error, PermissionError):
        return f"{error.filename} cannot be read by the pod's user: {error.strerror}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _report(outcome: Prepared | PrepareFailed, termination_log: Path) -> None:
    """Report to people on stderr and to the operator in the termination message."""
    _say(escaped(outcome))
    try:
        termination_log.write_bytes(encode(outcome) + b"\n")
    except OSError as error:
        sys.stderr.write(f"the outcome cannot be written to {termination_log}: {error}\n")


def _say(outcome: Prepared | PrepareFailed) -> None:
    if isinstance(outcome, PrepareFailed):
        about = f'model "{outcome.model}": ' if outcome.model else ""
        sys.stderr.write(f"{outcome.reason}: {about}{outcome.message}\n")
        return
    for model in outcome.models:
        sys.stderr.write(f'model "{model.name}": version {", ".join(model.versions)} {model.digest}\n')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m triton_operator.prepare",
        description="Check the models of a serving pod and lay them out for Triton.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    config = Path(layout.CONFIG_DIR, layout.CONFIG_FILE)
    parser.add_argument("--config", type=Path, default=config, help="list of models, JSON")
    parser.add_argument("--source", type=Path, default=Path(layout.SOURCE_DIR), help="mount path of the repository")
    parser.add_argument("--models", type=Path, default=Path(layout.MODELS_DIR), help="folder to lay the models out in")
    parser.add_argument(
        "--verified", type=Path, default=Path(layout.VERIFIED_DIR), help="folder for copies of signed models"
    )
    parser.add_argument(
        "--plaintext", type=Path, default=Path(layout.PLAINTEXT_DIR), help="folder in memory for decrypted models"
    )
    keyset = Path(layout.KEYSET_DIR, layout.KEYSET_FILE)
    parser.add_argument("--keyset", type=Path, default=keyset, help="keyset for encrypted models, JSON")
    parser.add_argument(
        "--vault", type=Path, default=Path(layout.VAULT_DIR), help="folder with the token for the vault of the keys"
    )
    parser.add_argument(
        "--termination-log", type=Path, default=Path("/dev/termination-log"), help="file for the termination message"
    )
    parser.add_argument("--fetch-only", action="store_true", help="only fetch the listed repositories")
    return parser


if __name__ == "__main__":
    sys.exit(main())
