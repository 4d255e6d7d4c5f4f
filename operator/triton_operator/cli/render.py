"""`tritonctl render`: all objects that the operator would make of a file, without a cluster.

Enters: YAML with ModelDeployments, and what the installation decides (the chart's settings). Leaves: manifests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator import __version__
from triton_operator.api.errors import InvalidSpec
from triton_operator.cli.documents import read_deployments, source_name
from triton_operator.cli.failures import Misused
from triton_operator.cli.options import ManifestFormat
from triton_operator.cli.output import print_objects
from triton_operator.resources.settings import CatalogueImage, Settings, SettingsInvalid, load

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

EPILOG = """\b
Examples:
  tritonctl render -f examples/digits.yaml
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
    output: Annotated[ManifestFormat, typer.Option("--output", "-o", help="How to print them.")] = ManifestFormat.YAML,
) -> None:
    """Print every object that the operator would create, offline.

    Typing mistakes and contradictions are reported with their field, exit status 2. What only the API server knows
    (its schema's patterns and bounds) is checked by: kubectl apply --dry-run=server -f FILE
    """
    from triton_operator.resources.build import render as render_children

    known = load_settings(settings)
    manifests = []
    for deployment in read_deployments(file, namespace):
        try:
            manifests += render_children(deployment, known)
        except InvalidSpec as error:
            raise Misused(f"{source_name(file)}: {deployment.metadata.name}: {error}") from error
    print_objects(manifests, output)


def load_settings(path: Path | None) -> Settings:
    """The installation's settings; without a file those of a chart that is installed with its defaults."""
    if path is None:
        return CHART_DEFAULTS
    try:
        return load(path)
    except SettingsInvalid as error:
        raise Misused(f"--settings {error}") from error
