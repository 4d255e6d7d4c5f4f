"""`AsyncClient`: one ModelDeployment and its predictions, for applications that use asyncio.

Input: the name of a ModelDeployment, then input values. Output: `DeploymentStatus` and `Prediction` objects. `Client`
runs an AsyncClient in a thread and takes its docstrings from here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from triton_operator.sdk.access import AccessOptions, Target
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.async_models import AsyncModels
from triton_operator.sdk.client_certificate import CertificateFiles, names_of_files
from triton_operator.sdk.inference import Inference, InferRequest
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.prediction import Prediction

if TYPE_CHECKING:
    from triton_operator.explain import Explanation
    from triton_operator.masking import MaskingAction, PersonalDataKind, Recognizer
    from triton_operator.sdk.explanation import ExplainOptions
    from triton_operator.sdk.masked import AsyncMaskedClient

CONCURRENCY = 4
"""Parts of one batch that are in flight at a time: enough to keep the server's queue filled."""


class AsyncClient(AsyncModels):
    """A client for one ModelDeployment.

    Inside a cluster it connects to the deployment's Service, outside through a `kubectl port-forward` of its own. Open
    it as a context manager before calling `infer`, `stream`, `explain`, `is_ready` or `interface`, and after a fork.
    The tasks of the event loop that opened it can share it.

    If the deployment has TLS, the client verifies its certificate and never connects without TLS. The CA certificates
    come from the ConfigMap that the deployment's status names, or in a pod from
    /var/run/secrets/triton-operator/ca.crt, if that file exists; `token` in the same folder is the token to send.

    Args:
        deployment: Name of the ModelDeployment.
        namespace: Its namespace; by default that of the pod or of the kubeconfig's context.
        protocol: Protocol.HTTP (default) or Protocol.GRPC.
        url: Connect to this address instead: `host:port`, for example of `tritonctl run`, or `https://host:port`, or
            `grpcs://host:port`.
        cluster: The kubeconfig and context to use; by default those of kubectl, or in a pod its ServiceAccount.
        timeout: Seconds within which each call must end, retries included; 60 by default.
        concurrency: Requests in flight at a time for one batch that does not fit into one request; 4 by default.
        ca_file: PEM file with the CA certificates to trust; by default those of the deployment, and with `url` those of
            this machine. It requires TLS.
        server_name: Name that the certificate must have; by default that of the Service, and with `url` its host.
        token: Bearer token to send, or a function that returns it, which is called for each request.
        token_file: File with the token, read again when it is replaced.
        service_account: Request tokens of this ServiceAccount, `NAME` or `NAMESPACE/NAME`, from the API server, and
            renew them. Its namespace is by default that of the deployment.
        cert: Client certificate to send: a PEM file with the certificate and its key, or a pair of files. It requires
            TLS. The files are read again when they are replaced.

    Example::

        async with AsyncClient("digits", "models") as client:
            prediction = await client.infer("digits", np.zeros((3, 1, 28, 28), np.float32))
            print(prediction.output.argmax(axis=1))
    """

    def __init__(  # noqa: PLR0913 -- keyword arguments with defaults, which `help` lists
        self,
        deployment: str,
        namespace: str = "",
        *,
        protocol: Protocol = Protocol.HTTP,
        url: str = "",
        cluster: KubeContext | None = None,
        timeout: float = 60.0,
        concurrency: int = CONCURRENCY,
        ca_file: str | PathLike[str] = "",
        server_name: str = "",
        token: str | Callable[[], str] = "",
        token_file: str | PathLike[str] = "",
        service_account: str = "",
        cert: CertificateFiles = "",
    ) -> None:
        files = names_of_files(cert)
        options = AccessOptions(fspath(ca_file), server_name, token, fspath(token_file), service_account, files)
        context = cluster or KubeContext()
        target = Target(deployment, namespace, url, context, KubernetesClient(context), options)
        super().__init__(target, Protocol(protocol), timeout)
        self._inference = Inference(self._connection, concurrency)

    async def __aenter__(self) -> Self:
        """Connect to the Service; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and the port-forward."""
        await self._connection.close()

    async def infer(
        self,
        model: str,
        inputs: Any,
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - covers retries, and ends with DeadlineExceededError.
        retry: bool = False,
        cast: bool = False,
    ) -> Prediction:
        """Run a model on a batch and return its outputs.

        Args:
            model: Name of the model.
            inputs: A mapping from input name to value, or the value itself for a model with one input. A value is a
                NumPy array, a torch tensor, a Pillow image, a `str`, `bytes`, a number, or a list of these, in the
                shape that `interface(model)` declares; one row without the batch dimension is a batch of one. A batch
                with more rows than the model accepts is sent as several requests.
            outputs: Names of the outputs to return; all by default.
            version: Version of the model; by default the server selects one.
            timeout: Seconds until the call fails, retries included; by default the client's `timeout`.
            retry: Send the request again also if the connection was lost; the model may then run twice. Requests that
                the server has not run (no connection, full queue, not ready) are always sent again, 4 times at most.
            cast: Convert arrays of another numeric type if only rounding changes the values, such as float64 to FP32.

        Returns:
            A Prediction: `outputs` maps each output name to a NumPy array, `output` is the array of a model with one
            output, `seconds` is the duration of the call. Text comes back as `bytes`.

        Raises:
            InvalidRequestError: An input does not match the model; `field` names it. Nothing was sent.
            InferenceError: The server returned an error.
            DeploymentNotFoundError: The server does not have the model or the version.
            RejectedError: Permission denied.
            UnreachableError: The server cannot be reached, or accepts no requests.
            DeadlineExceededError: No response within `timeout`. The model may have run.

        Example::

            prediction = await client.infer("add", {"x": [[1.0, 2.0]], "y": [[3.0, 4.0]]}, outputs=["sum"])
            print(prediction.outputs["sum"])
        """
        request = InferRequest(model, version, tuple(outputs), cast=cast)
        return await self._inference.run(request, inputs, self._deadline(timeout), retry=retry)

    def stream(
        self,
        model: str,
        requests: Iterable[Any] | AsyncIterable[Any],
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,
        cast: bool = False,
    ) -> AsyncGenerator[Prediction]:
        """Send a stream of requests and yield the responses as they arrive. Requires Protocol.GRPC.

        A decoupled model may send any number of responses to each request. Requests are never sent again. Leaving the
        loop ends the stream.

        Args:
            model: Name of the model.
            requests: The requests; each is what `infer` accepts as `inputs`, within the model's maximum batch size.
            outputs: Names of the outputs to return; all by default.
            version: Version of the model; by default the server selects one.
            timeout: Seconds to wait for each response; by default the client's `timeout`.
            cast: Convert arrays of another numeric type, as in `infer`.

        Returns:
            An iterator of Predictions; `seconds` counts from the start of the stream.

        Raises:
            InvalidRequestError: A request does not match the model, or the protocol is HTTP.
            InferenceError: The server returned an error.
            DeploymentNotFoundError: The server does not have the model or the version.
            RejectedError: Permission denied.
            UnreachableError: The server cannot be reached, or the connection was lost.
            DeadlineExceededError: No response within `timeout`.

        Example::

            async for prediction in client.stream("count", [[3], [1000]]):
                print(prediction.output)
        """
        request = InferRequest(model, version, tuple(outputs), cast=cast)
        seconds = self._timeout if timeout is None else timeout
        return self._inference.stream(request, requests, seconds, metadata_seconds=self._timeout)

    def masked(
        self,
        actions: MaskingAction | str | Mapping[PersonalDataKind, MaskingAction] = "tokenize",
        *,
        key: bytes = b"",
        recognizers: Iterable[Recognizer] = (),
    ) -> AsyncMaskedClient:
        """Mask personal data in the text of requests, and restore it in the text of responses.

        Requires the extra `masking`. Texts are searched for names, addresses, telephone numbers, identity cards, bank
        cards, e-mail and IP addresses, passports and licence plates, in Chinese and English. The values never leave
        this process, and are forgotten at the end of the block.

        Args:
            actions: What is written in place of the values: an action for all types, or a mapping from the types to
                mask to their actions. "tokenize" (default) writes tokens such as <PHONE_1>, which responses are
                searched for. "mask", "replace" and "hash" cannot be reversed.
            key: The secret key of the action "hash", at least 16 bytes.
            recognizers: Functions that find further personal data in a text.

        Returns:
            A client with `infer` and `stream`; `counts` has the number of masked values by type.

        Raises:
            InvalidRequestError: An action does not exist or lacks its key; `infer` also raises it for bytes that are
                not UTF-8.

        Example::

            async with AsyncClient("chinese-texts") as client, client.masked() as masked:
                prediction = await masked.infer("chinese_texts", "我是王小明 我爱你")
        """
        from triton_operator.sdk.conversation import Conversation
        from triton_operator.sdk.masked import AsyncMaskedClient

        return AsyncMaskedClient(self.infer, self.stream, Conversation(actions, key=key, recognizers=recognizers))

    async def explain(
        self, model: str, row: Any, method: str = "auto", **options: Unpack[ExplainOptions]
    ) -> Explanation:
        """Compute how much each part of one row contributed to the model's output.

        The model runs many times, on the row with parts replaced by a baseline.

        Args:
            model: Name of the model.
            row: One row: what `infer` accepts as `inputs`, with one row per input.
            method: "kernel-shap" (default, as "auto") or "occlusion".
            options: Keyword arguments. `target`: the output number, index or label to explain (default: the largest);
                `baseline`: "zeros" (default), "mean" of `background`, a number, or an array of the row's shape; for
                text the replacement of a segment (default: none); `samples`: rows to send at most (2048); `seed`: of
                the random generator (0); `patch`: side of an image's patches in pixels (0: a seventh of the image);
                `names`: column names; `input` and `output`: which tensors, if the model has several; `progress`:
                called with the rows done and the rows in total.

        Returns:
            An Explanation: `attributions` has a number for each part of the row; `text()`, `to_json()` and
            `save_png()` present them.

        Raises:
            InvalidRequestError: The row or an option does not fit the model; `field` names it.
            InferenceError: The server returned an error.
            DeploymentNotFoundError: The server does not have the model.
            RejectedError: Permission denied, or the server hides the model's interface.
            UnreachableError: The server cannot be reached.
            DeadlineExceededError: A request took longer than the client's `timeout`.

        Example::

            explanation = await client.explain("digits", np.ones((1, 28, 28), np.float32), samples=512)
            explanation.save_png("digit.png")
        """
        from triton_operator.sdk.explanation import explain_through

        interface = await self.interface(model)
        return await explain_through(lambda inputs: self.infer(model, inputs), interface, row, method, options)
