"""The server behind a deployment, seen from a command: reached when it is first needed, left when the command ends.

Input: what the options say of deployment, protocol and address. Output: an open client, and what its models declare.
`infer` and `bench` use it; the same way in (one kubectl port-forward) serves all requests of a command.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from triton_operator.cli.failures import UsageError
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.address import Endpoint, Protocol, endpoint_of
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from triton_operator.sdk.client import Client
    from triton_operator.sdk.interface import ModelInterface


@dataclass
class Server:
    """Use it as a context manager; nothing is connected before `client` or `interface` is asked for."""

    deployment: str
    namespace: str
    protocol: Protocol
    url: str
    cluster: Kubectl
    timeout: float
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the way that was opened."""
        self._open.close()

    @cached_property
    def client(self) -> Client:
        """The SDK's client; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        from triton_operator.sdk.client import Client

        opened: Endpoint | None = self.__dict__.get("endpoint")  # One way in is enough where there is one already.
        client = Client(
            self.deployment,
            self.namespace,
            protocol=self.protocol,
            url=opened.target if opened else self.url,
            kubectl=self.cluster,
            timeout=self.timeout,
        )
        with spinner(f"reaching {self.deployment}"):
            return self._open.enter_context(client)

    @cached_property
    def endpoint(self) -> Endpoint:
        """The way for a client of one's own; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        way = endpoint_of(self.deployment, self.namespace, self.protocol, url=self.url, kubectl=self.cluster)
        with spinner(f"reaching {self.deployment}"):
            return self._open.enter_context(way)

    def choose_model(self, named: str) -> str:
        """Return the named model, else the only one, else the one that `main_models` finds. Raises UsageError."""
        if named or self.url:
            return named or self.deployment
        with spinner(f"asking for the models of {self.deployment}"):
            client = KubernetesClient(self.cluster)
            models = client.get(MODEL_DEPLOYMENTS, self.deployment, self.namespace)["spec"].get("models", [])
        candidates = main_models(models, self.deployment)
        if len(candidates) != 1:
            names = ", ".join(str(model["name"]) for model in models)
            raise UsageError(f"--model: {self.deployment} serves several; choose one of {names}")
        return str(candidates[0]["name"])

    def interface(self, name: str) -> ModelInterface:
        """Tensors; raises UnreachableError, DeploymentNotFoundError, or InferenceError if they are hidden."""
        client = self.client
        with spinner(f"reading the inputs of {name}"):
            return client.interface(name)


def main_models(models: Sequence[dict[str, Any]], deployment: str) -> Sequence[dict[str, Any]]:
    """Those that a caller can mean by the deployment alone: the one called like it, the ensembles, else all of them."""
    called = [model for model in models if str(model["name"]).replace("_", "-") == deployment]
    return called or [model for model in models if model.get("format") == "Ensemble"] or models
