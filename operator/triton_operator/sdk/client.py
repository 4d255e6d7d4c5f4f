"""Predictions from a deployment, by its name.

Enters: arrays by input name. Leaves: arrays by output name. Applications, the CLI and the demo call it::

    with Client("digits", "models") as client:
        answer = client.infer("digits", {"image": pictures})
        answer.outputs["probabilities"]

One client holds one connection and is not to be shared between threads (gevent's HTTP client, on which tritonclient
is built, belongs to the thread that made it).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from triton_operator.sdk.address import Protocol, address_of
from triton_operator.sdk.errors import InferenceFailed, SdkError, Unreachable
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.tensors import Array, data_type

_NO_SERVER = ("UNAVAILABLE", "failed to connect", "Connection refused", "Connection reset", "timed out")


@dataclass(frozen=True)
class Prediction:
    """One answer; `seconds` is what the caller waited, client and network included."""

    model: str
    version: str
    outputs: Mapping[str, Array] = field(repr=False)
    seconds: float


class Client:
    """Asks one deployment over one protocol; use it as a context manager.

    `url` (`host:port`) goes there directly. Without it the Service is found as `sdk.address` describes.
    """

    def __init__(
        self,
        deployment: str,
        namespace: str = "",
        *,
        protocol: Protocol = Protocol.HTTP,
        url: str = "",
        kubectl: Kubectl | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._protocol = Protocol(protocol)
        self._place = (deployment, namespace, self._protocol)
        self._url = url
        self._kubectl = kubectl or Kubectl()
        self._timeout = timeout
        self._open = ExitStack()
        self._address = ""
        self._server: Any = None

    def __enter__(self) -> Self:
        """Open the way to the Service; raises Unreachable, NotFound, Refused."""
        context = address_of(*self._place, url=self._url, kubectl=self._kubectl)
        self._address = self._open.enter_context(context)
        try:
            self._server = self._connect()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and whatever led to it."""
        self._open.close()

    def infer(self, model: str, inputs: Mapping[str, Array], outputs: tuple[str, ...] = ()) -> Prediction:
        """Ask one model; all its outputs when none is named. Raises RequestInvalid, InferenceFailed, Unreachable."""
        tensors = self._triton()
        given = [self._input(tensors, name, array) for name, array in inputs.items()]
        wanted = [tensors.InferRequestedOutput(name) for name in outputs] or None
        started = time.perf_counter()
        result = self._ask("infer", model, given, outputs=wanted, **self._deadline())
        seconds = time.perf_counter() - started
        answer = self._answer(result)
        arrays = {output["name"]: result.as_numpy(output["name"]) for output in answer.get("outputs", [])}
        return Prediction(answer["model_name"], answer.get("model_version", ""), arrays, seconds)

    def is_ready(self, model: str) -> bool:
        """Whether the server has this model loaded; raises Unreachable."""
        return bool(self._ask("is_model_ready", model))

    def _triton(self) -> Any:
        """The protocol's own half of tritonclient, imported late: it costs half a second."""
        try:
            if self._protocol is Protocol.GRPC:
                import tritonclient.grpc as tensors
            else:
                import tritonclient.http as tensors
        except ImportError as error:
            raise Unreachable(f"{error}; install triton-operator[cli], which brings tritonclient") from error
        return tensors

    def _connect(self) -> Any:
        triton = self._triton()
        timeouts = (
            {}
            if self._protocol is Protocol.GRPC
            else {"connection_timeout": self._timeout, "network_timeout": self._timeout}
        )
        server = triton.InferenceServerClient(self._address, **timeouts)
        self._open.callback(server.close)
        return server

    def _deadline(self) -> dict[str, float]:
        return {"client_timeout": self._timeout} if self._protocol is Protocol.GRPC else {}

    def _input(self, triton: Any, name: str, array: Array) -> Any:
        tensor = triton.InferInput(name, list(array.shape), data_type(array, f"inputs[{name!r}]"))
        tensor.set_data_from_numpy(array.astype(object) if array.dtype.kind in "SU" else array)
        return tensor

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call the server; every failure becomes one of our errors."""
        from tritonclient.utils import InferenceServerException

        if self._server is None:
            raise Unreachable("the client is not open: use `with Client(…) as client:`")
        try:
            return getattr(self._server, method)(*arguments, **options)
        except InferenceServerException as error:
            raise self._explain(f"{error.status() or ''} {error.message()}") from error
        except OSError as error:  # Connections that gevent's HTTP client could not make or lost.
            raise self._explain(str(error), lost=True) from error

    def _explain(self, said: str, *, lost: bool = False) -> SdkError:
        if lost or any(sign in said for sign in _NO_SERVER):
            return Unreachable(f"{self._address} does not answer over {self._protocol.value}: {said.strip()}")
        return InferenceFailed(said.strip())

    def _answer(self, result: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (
            result.get_response(as_json=True) if self._protocol is Protocol.GRPC else result.get_response()
        )
        return answer
