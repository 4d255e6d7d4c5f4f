"""`tritonctl lint`: what would go wrong with a model, found without a cluster, a server or torch.

Input: model files, folders of models, YAML with ModelDeployments. Output: Findings, and an exit status for CI.
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
"""


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…", help="A model file, a model's folder, a repository, or a ModelDeployment's YAML."
        ),
    ],
    output: Output = OutputFormat.TABLE,
) -> None:
    """Find what would keep a model from being served, or served well. Nothing of a model is executed.

    Exit status 1 when something is an error, 0 with warnings or nothing, 2 when there is nothing to look at.
    """
    findings = [finding for path in paths for finding in _check(path)]
    errors = sum(finding.severity == "error" for finding in findings)
    if output is OutputFormat.TABLE:
        for finding in findings:
            say(_line(finding))
        typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)
    else:
        print_data(findings, output)
    if errors:
        raise CommandFailedError(f"{errors} of {len(findings)} findings keep a model from being served")


def _check(path: Path) -> Iterator[Finding]:
    from triton_operator.cli.lint.archive import check_model_file
    from triton_operator.cli.lint.config import check_file
    from triton_operator.cli.lint.deployment import check_deployments
    from triton_operator.cli.lint.folder import check_folder, models_in

    try:
        if path.is_dir():
            models = models_in(path)
            if not models:
                raise UsageError(
                    f"{path}: contains no model: no config.pbtxt or numbered version in it or its subfolders"
                )
            for model in models:
                yield from check_folder(model)
        elif path.suffix in {".yaml", ".yml"}:
            yield from check_deployments(path)
        elif path.suffix == ".pbtxt":
            yield from check_file(path)
        else:
            yield from check_model_file(path, str(path)).findings
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror or problem}") from problem


def _line(finding: Finding) -> str:
    place = f"{finding.file}: {finding.place}" if finding.place else finding.file
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{place}: {finding.severity}: {finding.message}{advice}"
