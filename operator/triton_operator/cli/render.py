"""`tritonctl render`: print the objects that the operator would create, without a cluster.

Input: YAML with ModelDeployments, and the settings of the installation (from the chart). Output: manifests, or with
`--show-defaults` the defaults that were applied, and why.
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
"""The defaults of charts/triton-operator/values.yaml; a test keeps the two equal."""


class AppliedDefaults(Struct, frozen=True):
    """The defaults that were applied to one deployment."""

    name: str
    choices: tuple[Choice, ...]


EPILOG = """\b
Examples:
  tritonctl render -f examples/digits.yaml
  tritonctl render -f examples/digits.yaml --show-defaults
  tritonctl render -f examples/digits.yaml -n models | kubectl diff -f -
\b
To check a file against the schema in the cluster, run:
  kubectl apply --dry-run=server -f FILE
"""


def render(
    file: Annotated[
        Path,
        typer.Option("--filename", "-f", metavar="FILE", help="YAML file with ModelDeployments; - for standard input."),
    ],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="Namespace for objects that do not set one.")
    ] = "default",
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="The operator's settings.json, from the chart's ConfigMap; by default, the chart's default values.",
        ),
    ] = None,
    show_defaults: Annotated[
        bool,
        typer.Option("--show-defaults", help="Show the defaults that were applied, and why, instead of manifests."),
    ] = False,
    output: Annotated[
        ManifestFormat | None,
        typer.Option("--output", "-o", help="Output format; by default, YAML for manifests and a table for defaults."),
    ] = None,
) -> None:
    """Print the Kubernetes objects that the operator would create, without a cluster.

    The Secret and the ConfigMap with certificates, which the deployments of a namespace share, are not included. The
    exit status is 2 if the file has unknown fields, wrong types or conflicting values.
    """
    from triton_operator.resources.applied_defaults import applied_defaults
    from triton_operator.resources.build import render as render_children

    known = load_settings(settings)
    manifests: list[Manifest] = []
    defaults: list[AppliedDefaults] = []
    for deployment in read_deployments(file, namespace):
        try:
            manifests += render_children(deployment, known)
            defaults.append(AppliedDefaults(deployment.metadata.name, tuple(applied_defaults(deployment, known))))
        except InvalidSpecError as error:
            raise UsageError(f"{source_name(file)}: {deployment.metadata.name}: {error}") from error
    if show_defaults:
        print_defaults(defaults, output)
    else:
        print_objects(manifests, output or ManifestFormat.YAML)


def print_defaults(defaults: list[AppliedDefaults], output: ManifestFormat | None) -> None:
    """Print a table for each deployment, or all of them as JSON or YAML."""
    if output is not None:
        print_data(defaults, output)
        return
    from rich.text import Text

    out = console()
    for index, each in enumerate(defaults):
        rows = [(choice.field, choice.value, choice.why) for choice in each.choices]
        out.print(Text(f"\n{each.name}" if index else each.name, style="bold"))
        out.print(table(("FIELD", "VALUE", "WHY"), rows))


def load_settings(path: Path | None) -> Settings:
    """The settings of the installation; by default, those of a chart that is installed with its defaults."""
    if path is None:
        return CHART_DEFAULTS
    try:
        return load(path)
    except InvalidSettingsError as error:
        raise UsageError(f"--settings {error}") from error
