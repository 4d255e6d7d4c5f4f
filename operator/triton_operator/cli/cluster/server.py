"""The connection of a command to the server of a deployment, opened on first use and closed with the command.

Input: the deployment, protocol and address from the options. Output: an open client, and the interfaces of its models.
All requests of a command use the same connection, such as one `kubectl port-forward`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from triton_operator.cli.failures import UsageError
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.access import AccessOptions
from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from triton_operator.sdk.client import Client
    from triton_operator.sdk.interface import ModelInterface


@dataclass
class ServerConnection:
    """A context manager; it connects when `client` or `interface` is first used."""

    deployment: str
    namespace: str
    protocol: Protocol
    url: str
    cluster: KubeContext
    timeout: float
    access: AccessOptions
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Return the object, without connecting."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._open.close()

    @cached_property
    def client(self) -> Client:
        """The SDK's client; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        from triton_operator.sdk.client import Client

        client = Client(
            self.deployment,
            self.namespace,
            protocol=self.protocol,
            url=self.url,
            cluster=self.cluster,
            timeout=self.timeout,
            **dataclasses.asdict(self.access),
        )
        with spinner(f"connecting to {self.deployment}"):
            return self._open.enter_context(client)

    @property
    def endpoint(self) -> ServerAddress:
        """The endpoint for other clients; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        return self.client.address

    def choose_model(self, name: str) -> str:
        """Return the named model, or the only one that `main_models` finds; raises UsageError."""
        if name or self.url:
            return name or self.deployment
        with spinner(f"reading the models of {self.deployment}"):
            client = KubernetesClient(self.cluster)
            models = client.get(MODEL_DEPLOYMENTS, self.deployment, self.namespace)["spec"].get("models", [])
        candidates = main_models(models, self.deployment)
        if len(candidates) != 1:
            names = ", ".join(str(model["name"]) for model in models)
            raise UsageError(f"--model: {self.deployment} has several models; select one of {names}")
        return str(candidates[0]["name"])

    def interface(self, name: str) -> ModelInterface:
        """A model's inputs and outputs; raises UnreachableError, DeploymentNotFoundError, InferenceError."""
        client = self.client
        with spinner(f"reading the inputs of {name}"):
            return client.interface(name)


def main_models(models: Sequence[dict[str, Any]], deployment: str) -> Sequence[dict[str, Any]]:
    """The candidates for requests without a model: the one with the deployment's name, the ensembles, or all."""
    same_name = [model for model in models if str(model["name"]).replace("_", "-") == deployment]
    return same_name or [model for model in models if model.get("format") == "Ensemble"] or models
