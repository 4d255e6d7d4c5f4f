"""`tritonctl lint`: check models and ModelDeployments, without a cluster, a server or torch.

Input: model files, model folders, and YAML with ModelDeployments. Output: Findings, and an exit status for CI.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.options import Output
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import print_data, say

if TYPE_CHECKING:
    from triton_operator.cli.lint.finding import Finding

EPILOG = """\b
Examples:
  tritonctl lint model_repository
  tritonctl lint model_repository/digits examples/digits.yaml
  tritonctl lint digits/1/model.pt -o json
  tritonctl lint model_repository/digits --scan
"""


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Model files, model folders, model repositories or ModelDeployment YAML files."
        ),
    ],
    scan: Annotated[
        bool,
        typer.Option("--scan", help="Also report everything that spec.verification.scan rejects, such as Python code."),
    ] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check models and ModelDeployments for errors and bad practices. Model code is not executed.

    The exit status is 1 if there are errors, 0 if there are only warnings or no findings, and 2 if a path is invalid.
    """
    findings = [finding for path in paths for finding in _check(path, scan=scan)]
    errors = sum(finding.severity == "error" for finding in findings)
    if output is OutputFormat.TABLE:
        for finding in findings:
            say(_line(finding))
        typer.echo(f"{_counted(errors, 'error')}, {_counted(len(findings) - errors, 'warning')}", err=True)
    else:
        print_data(findings, output)
    if errors:
        raise CommandFailedError(f"{errors} of {len(findings)} findings are errors, which prevent serving")


def _check(path: Path, *, scan: bool) -> Iterator[Finding]:
    from triton_operator.cli.lint.archive import check_model_file
    from triton_operator.cli.lint.config import check_file
    from triton_operator.cli.lint.deployment import check_deployments
    from triton_operator.cli.lint.folder import check_folder, models_in, scan_folder

    try:
        if path.is_dir():
            models = models_in(path)
            if not models:
                raise UsageError(
                    f"{path}: contains no model: no config.pbtxt or numbered version in it or its subfolders"
                )
            for model in models:
                findings = list(check_folder(model))
                yield from findings
                if scan:
                    yield from scan_folder(model, findings)
        elif path.suffix in {".yaml", ".yml"}:
            yield from check_deployments(path)
        elif path.suffix == ".pbtxt":
            yield from check_file(path)
        else:
            yield from check_model_file(path, str(path)).findings
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror or problem}") from problem


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _line(finding: Finding) -> str:
    place = f"{finding.file}: {finding.place}" if finding.place else finding.file
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{place}: {finding.severity}: {finding.message}{advice}"
