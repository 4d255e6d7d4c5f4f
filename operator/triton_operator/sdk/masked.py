"""`client.masked()`: a client whose requests contain no personal data, and whose responses contain it again.

Input: values as `infer` accepts them. Output: Predictions. The values behind the tokens exist from the start of the
`with` block to its end, in this process only.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from triton_operator.sdk.bounded import iterate
from triton_operator.sdk.conversation import Conversation
from triton_operator.sdk.prediction import Prediction


class MaskedClient:
    """Like `Client`, but masks the personal data that it finds in requests; `counts` has the masked values by type."""

    def __init__(
        self,
        infer: Callable[..., Prediction],
        stream: Callable[..., Iterator[Prediction]],
        conversation: Conversation,
    ) -> None:
        self._infer = infer
        self._stream = stream
        self._conversation = conversation

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the values behind the tokens."""
        self._conversation.end()

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of values that were masked, by type."""
        return self._conversation.counts

    def infer(self, model: str, inputs: Any, outputs: Iterable[str] = (), **options: Any) -> Prediction:
        """Like `Client.infer`, with masked text in the request and restored values in the response."""
        return self._conversation.unmask(self._infer(model, self._conversation.mask(inputs), outputs, **options))

    def stream(
        self, model: str, requests: Iterable[Any], outputs: Iterable[str] = (), **options: Any
    ) -> Iterator[Prediction]:
        """Like `Client.stream`, with masked text in the requests and restored values in the responses."""
        masked = (self._conversation.mask(each) for each in requests)
        return map(self._conversation.unmask, self._stream(model, masked, outputs, **options))


class AsyncMaskedClient:
    """Like `MaskedClient`, for an `AsyncClient`: use it with `async with`."""

    def __init__(
        self,
        infer: Callable[..., Awaitable[Prediction]],
        stream: Callable[..., AsyncIterator[Prediction]],
        conversation: Conversation,
    ) -> None:
        self._infer = infer
        self._stream = stream
        self._conversation = conversation

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the values behind the tokens."""
        self._conversation.end()

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of values that were masked, by type."""
        return self._conversation.counts

    async def infer(self, model: str, inputs: Any, outputs: Iterable[str] = (), **options: Any) -> Prediction:
        """Like `AsyncClient.infer`, with masked text in the request and restored values in the response."""
        prediction = await self._infer(model, self._conversation.mask(inputs), outputs, **options)
        return self._conversation.unmask(prediction)

    async def stream(
        self, model: str, requests: Iterable[Any] | AsyncIterable[Any], outputs: Iterable[str] = (), **options: Any
    ) -> AsyncIterator[Prediction]:
        """Like `AsyncClient.stream`, with masked text in the requests and restored values in the responses."""
        async for prediction in self._stream(model, self._masked(requests), outputs, **options):
            yield self._conversation.unmask(prediction)

    async def _masked(self, requests: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
        async for each in iterate(requests):
            yield self._conversation.mask(each)
