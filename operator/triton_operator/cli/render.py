"""`tritonctl render`: all objects that the operator would make of a file, without a cluster.

Input: YAML with ModelDeployments, and what the installation decides (the chart's settings). Output: manifests, or with
`--explain` what was chosen for them and why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator import __version__
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.struct import Struct
from triton_operator.cli.documents import read_deployments, source_name
from triton_operator.cli.failures import UsageError
from triton_operator.cli.terminal.formats import ManifestFormat
from triton_operator.cli.terminal.output import console, print_data, print_objects, table
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.settings import CatalogueImage, InvalidSettingsError, Settings, load
from triton_operator.triton.config.defaults import Choice

CHART_DEFAULTS = Settings(
    operator_image=f"triton-operator.local/operator:{__version__}",
    images=(
        CatalogueImage(
            image="nvcr.io/nvidia/tritonserver:26.11-py3",
            version="26.11",
            backends=("pytorch", "python", "onnxruntime", "tensorrt", "openvino", "fil", "dali"),
            default=True,
        ),
    ),
)
"""What charts/triton-operator/values.yaml says; a test keeps the two equal."""


class Explained(Struct, frozen=True):
    """What was chosen for one deployment."""

    name: str
    choices: tuple[Choice, ...]


EPILOG = """\b
Examples:
  tritonctl render -f examples/digits.yaml
  tritonctl render -f examples/digits.yaml --explain
  tritonctl render -f examples/digits.yaml -n models | kubectl diff -f -
"""


def render(
    file: Annotated[
        Path,
        typer.Option("--filename", "-f", metavar="FILE", help="YAML with ModelDeployments; - reads standard input."),
    ],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="For objects that name no namespace.")
    ] = "default",
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="settings.json of the installation (from the chart's ConfigMap); the chart's defaults without it.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say instead what was chosen where the file is silent, and why.")
    ] = False,
    output: Annotated[
        ManifestFormat | None,
        typer.Option("--output", "-o", help="How to print: objects as YAML, an explanation as a table by default."),
    ] = None,
) -> None:
    """Print every object that the operator would create, offline.

    Typing mistakes and contradictions are reported with their field, exit status 2. What only the API server knows
    (its schema's patterns and bounds) is checked by: kubectl apply --dry-run=server -f FILE
    """
    from triton_operator.resources.build import render as render_children
    from triton_operator.resources.explanation import explain as explain_choices

    known = load_settings(settings)
    manifests: list[Manifest] = []
    explained: list[Explained] = []
    for deployment in read_deployments(file, namespace):
        try:
            manifests += render_children(deployment, known)
            explained.append(Explained(deployment.metadata.name, tuple(explain_choices(deployment, known))))
        except InvalidSpecError as error:
            raise UsageError(f"{source_name(file)}: {deployment.metadata.name}: {error}") from error
    if explain:
        print_explained(explained, output)
    else:
        print_objects(manifests, output or ManifestFormat.YAML)


def print_explained(explained: list[Explained], output: ManifestFormat | None) -> None:
    """A table for each deployment, or a list of them for a program."""
    if output is not None:
        print_data(explained, output)
        return
    from rich.text import Text

    out = console()
    for index, each in enumerate(explained):
        rows = [(choice.field, choice.value, choice.why) for choice in each.choices]
        out.print(Text(f"\n{each.name}" if index else each.name, style="bold"))
        out.print(table(("FIELD", "VALUE", "WHY"), rows))


def load_settings(path: Path | None) -> Settings:
    """The installation's settings; without a file those of a chart that is installed with its defaults."""
    if path is None:
        return CHART_DEFAULTS
    try:
        return load(path)
    except InvalidSettingsError as error:
        raise UsageError(f"--settings {error}") from error
