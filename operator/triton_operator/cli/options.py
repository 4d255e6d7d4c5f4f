"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from typing import Annotated

import typer

from triton_operator.cli.kubectl.names import complete_contexts, complete_deployments, complete_namespaces
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.sdk.kubectl import Kubectl

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the ModelDeployment.", autocompletion=complete_deployments),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NS",
        help="Its namespace; the context's own by default.",
        autocompletion=complete_namespaces,
    ),
]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="How to print the answer.")]
Kubeconfig = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig to use; kubectl's own choice by default.")
]
Context = Annotated[
    str,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", autocompletion=complete_contexts),
]


def kubectl(kubeconfig: str, context: str) -> Kubectl:
    """The way to the cluster that the options ask for."""
    return Kubectl(kubeconfig=kubeconfig, context=context)
