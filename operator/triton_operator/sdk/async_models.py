"""The methods of `AsyncClient` that describe models: is_ready, interface.

Input: the name of a model. Output: whether the server has loaded it, or its `ModelInterface`.
"""

from __future__ import annotations

from triton_operator.sdk.access import Target
from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.async_deployment import AsyncDeployment
from triton_operator.sdk.connection import DeploymentConnection
from triton_operator.sdk.errors import RejectedError
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.retry import Deadline


class AsyncModels(AsyncDeployment):
    """The models of one deployment, over one connection."""

    def __init__(self, target: Target, protocol: Protocol, timeout: float) -> None:
        super().__init__(target.deployment, target.namespace, target.client)
        self._connection = DeploymentConnection(target, protocol)
        self._timeout = timeout

    @property
    def address(self) -> ServerAddress:
        """Where the client is connected; raises UnreachableError if it is not open."""
        return self._connection.address

    async def is_ready(self, model: str, version: str = "") -> bool:
        """Return whether the server has loaded a model.

        Args:
            model: Name of the model.
            version: Version of the model; by default any.

        Returns:
            True if the model can serve requests; False also if the server does not have it.

        Raises:
            RejectedError: Permission denied.
            UnreachableError: The server cannot be reached.
            DeadlineExceededError: No response within the client's `timeout`.

        Example::

            assert await client.is_ready("digits")
        """
        return await self._connection.call(
            lambda transport: transport.is_ready(model, version),
            self._deadline(),
            f"readiness of {model}",
            idempotent=True,
        )

    async def interface(self, model: str, version: str = "") -> ModelInterface:
        """Return the inputs and outputs of a model. The server is queried once for each model and version.

        Args:
            model: Name of the model.
            version: Version of the model; by default the server selects one.

        Returns:
            A ModelInterface: `inputs` and `outputs` with the `name`, `datatype` and `shape` of each tensor (-1 is any
            size), and `max_batch_size` in rows, None if the server hides it.

        Raises:
            DeploymentNotFoundError: The server does not have the model or the version.
            RejectedError: The server hides the model's interface.
            UnreachableError: The server cannot be reached.
            DeadlineExceededError: No response within the client's `timeout`.

        Example::

            for tensor in (await client.interface("digits")).inputs:
                print(tensor.name, tensor.shown)
        """
        interface = await self._connection.interface(model, version, self._deadline())
        if interface is None:
            raise RejectedError(f"the server hides the inputs and outputs of {model}")
        return interface

    def _deadline(self, timeout: float | None = None) -> Deadline:
        return Deadline(self._timeout if timeout is None else timeout)
