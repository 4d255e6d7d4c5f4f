"""The server behind a deployment, seen from a command: reached when it is first needed, left when the command ends.

Enters: what the options say of deployment, protocol and address. Leaves: its address, and what its models declare.
`infer` and `bench` use it; the same way in (one kubectl port-forward) serves all requests of a command.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from triton_operator.cli.failures import Misused
from triton_operator.cli.progress import waiting
from triton_operator.sdk.address import Protocol, address_of
from triton_operator.sdk.errors import InferenceFailed, Unreachable
from triton_operator.sdk.kubectl import Kubectl

if TYPE_CHECKING:
    from triton_operator.cli.inputs.declared import Model


@dataclass
class Server:
    """Use it as a context manager; nothing is connected before `address` or `model` is asked for."""

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
    def address(self) -> str:
        """`host:port`; raises Unreachable, NotFound, Refused."""
        way = address_of(self.deployment, self.namespace, self.protocol, url=self.url, kubectl=self.cluster)
        with waiting(f"reaching {self.deployment}"):
            return self._open.enter_context(way)

    def choose_model(self, named: str) -> str:
        """The model that is meant: the named one, else the only one, else the only ensemble. Raises Misused."""
        if named or self.url:
            return named or self.deployment
        with waiting(f"asking for the models of {self.deployment}"):
            models = self.cluster.deployment(self.deployment, self.namespace)["spec"]["models"]
        ensembles = [model for model in models if model.get("format") == "Ensemble"]
        candidates = ensembles if len(models) > 1 and ensembles else models
        if len(candidates) > 1:
            names = ", ".join(str(model["name"]) for model in models)
            raise Misused(f"--model: {self.deployment} serves several; choose one of {names}")
        return str(candidates[0]["name"])

    def model(self, name: str) -> Model:
        """What the model takes; raises InferenceFailed where the server does not know it, Unreachable."""
        from triton_operator.cli.inputs.declared import read_model

        with waiting(f"asking what {name} takes"):
            return read_model(self._metadata(name))

    def _metadata(self, name: str) -> dict[str, Any]:
        from tritonclient.utils import InferenceServerException

        try:
            with self._connected() as server:
                found: dict[str, Any] = server.get_model_metadata(name, **self._options())
        except InferenceServerException as error:
            said = f"{error.status() or ''} {error.message()}".strip()
            if any(sign in said for sign in ("UNAVAILABLE", "DEADLINE", "failed to connect", "timed out")):
                raise Unreachable(f"{self.address} does not answer over {self.protocol.value}: {said}") from error
            raise InferenceFailed(said) from error
        except OSError as error:
            raise Unreachable(f"{self.address} does not answer over {self.protocol.value}: {error}") from error
        return found

    def _connected(self) -> Any:
        if self.protocol is Protocol.GRPC:
            from tritonclient.grpc import InferenceServerClient

            return InferenceServerClient(self.address)
        from tritonclient.http import InferenceServerClient as HttpClient

        return HttpClient(self.address, connection_timeout=self.timeout, network_timeout=self.timeout)

    def _options(self) -> dict[str, Any]:
        return {"as_json": True, "client_timeout": self.timeout} if self.protocol is Protocol.GRPC else {}
