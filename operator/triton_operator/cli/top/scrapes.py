"""Scrape the metrics of all pods of a deployment through port-forwards that stay open.

Input: a deployment, or one address. Output: samples by pod, for `top`. One request lists the pods, and one kubectl per
pod forwards its metrics port. Pods are listed again every `LIST_SECONDS`.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from triton_operator.api.names import PORT_METRICS
from triton_operator.cli.cluster.objects import pods_of
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.status.pods import is_ready
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cli.top.metrics_text import parse
from triton_operator.cli.top.rates import Samples, samples_of
from triton_operator.files import FileTooLargeError, read_stream
from triton_operator.sdk.address import split_url
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.port_forward import port_forward

LIST_SECONDS = 10.0
MOST_PODS = 24
"""Each one needs a kubectl process of 40 MB."""
MOST_BYTES = 4 << 20
"""Limit for the metrics of a pod; with 16 models on 8 GPUs, Triton writes 0.1 MB."""
_TIMEOUT_SECONDS = 5.0


class Pods:
    """The pods to scrape; a context manager."""

    def __init__(self, cluster: KubeContext, name: str, namespace: str, *, url: str = "") -> None:
        self._cluster, self._name, self._namespace, self._url = cluster, name, namespace, url
        self._client = KubernetesClient(cluster)
        self._forwards: dict[str, tuple[str, ExitStack]] = {}
        self._listed = float("-inf")

    def __enter__(self) -> Self:
        """Connect to all; raises DeploymentNotFoundError, UnreachableError, CommandFailedError if none is ready."""
        try:
            self._find()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all port-forwards."""
        self._close()

    def scrape(self) -> dict[str, Samples]:
        """The samples of each reachable pod; raises UnreachableError if there is none."""
        if time.monotonic() - self._listed > LIST_SECONDS and not self._url:
            self._find()
        names = list(self._forwards)
        with ThreadPoolExecutor(max(1, len(names))) as pool, spinner("reading metrics"):
            texts = list(pool.map(lambda name: read_metrics(self._forwards[name][0]), names))
        for name, text in zip(names, texts, strict=True):
            if text is None and not self._url:
                self._forwards.pop(name)[1].close()
                self._listed = float("-inf")
        found = {name: samples_of(parse(text)) for name, text in zip(names, texts, strict=True) if text is not None}
        if not found:
            if self._url:
                raise UnreachableError(f"{self._url} does not respond with metrics; check the address")
            raise UnreachableError(
                f"no pod of {self._name} responds on its metrics port (8002); run `tritonctl status {self._name}`"
            )
        return found

    def _find(self) -> None:
        """Open port-forwards to new pods, and close those to pods that are gone."""
        self._listed = time.monotonic()
        if self._url:
            self._forwards = {self._url: (split_url(self._url)[1].partition("/")[0], ExitStack())}
            return
        ready = [
            str(pod["metadata"]["name"]) for pod in pods_of(self._client, self._name, self._namespace) if is_ready(pod)
        ]
        if not ready:
            raise CommandFailedError(f"{self._name} has no ready pod; run `tritonctl status {self._name}` to see why")
        if len(ready) > MOST_PODS:
            raise UsageError(
                f"{self._name} has {len(ready)} pods; at most {MOST_PODS} can be scraped through port-forwards"
            )
        for gone in self._forwards.keys() - set(ready):
            self._forwards.pop(gone)[1].close()
        self._open([name for name in ready if name not in self._forwards])

    def _open(self, names: Sequence[str]) -> None:
        """Open all port-forwards concurrently; pods that are gone meanwhile are skipped."""

        def open_forward(name: str) -> tuple[str, ExitStack] | SdkError:
            stack = ExitStack()
            try:
                address = stack.enter_context(port_forward(self._cluster, f"pod/{name}", PORT_METRICS, self._namespace))
            except SdkError as error:
                return error
            return address, stack

        with ThreadPoolExecutor(max(1, len(names))) as pool, spinner(f"connecting to {len(names)} pods"):
            found = list(pool.map(open_forward, names))
        self._forwards |= {
            name: each for name, each in zip(names, found, strict=True) if not isinstance(each, SdkError)
        }
        if not self._forwards:
            raise next(each for each in found if isinstance(each, SdkError))

    def _close(self) -> None:
        for _, stack in self._forwards.values():
            stack.close()


def read_metrics(address: str) -> str | None:
    """The text of a metrics endpoint; None if there is none at this address, or one that is too large."""
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = read_stream(response, MOST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError, FileTooLargeError):
        return None
    else:
        return text if response.status == http.client.OK else None
    finally:
        connection.close()
