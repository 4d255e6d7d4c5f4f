"""Follow the logs of a deployment: one stream per running container, and a watch for new pods.

Input: the current pods. Output: lines on standard output until Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import typer

from triton_operator.cli.cluster.objects import labels_of
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.logs.line import shown
from triton_operator.cli.status.pods import container_statuses
from triton_operator.cli.terminal.output import say
from triton_operator.cluster.resource_paths import PODS
from triton_operator.sdk.cluster_objects import LogOptions, Selection
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.follow import DELETED, follow
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.stop import Stop

MOST_STREAMS = 40
"""Each one is a connection and a thread; with more pods, users select one."""
_ALL_LINES = -1


def follow_pods(
    client: KubernetesClient,
    name: str,
    namespace: str,
    *,
    only: str,
    pods: Sequence[dict[str, Any]],
    containers: Sequence[str],
    options: LogOptions,
) -> None:
    """Print lines until Ctrl-C. `only` is the name of one pod; if empty, all pods are followed."""
    streams = Streams(client, name, namespace, options, containers)
    selection = Selection(PODS, namespace, only, "" if only else labels_of(name))
    try:
        for pod in pods:
            streams.attend(pod)
        if not pods:
            typer.echo(f"{name} has no pods yet; waiting for one", err=True)
        for event in follow(client, selection, on_error=_print_error):
            if event.kind != DELETED:
                streams.attend(event.object)
    finally:
        streams.close()


class Streams:
    """The log streams, one per run of a container."""

    def __init__(
        self,
        client: KubernetesClient,
        name: str,
        namespace: str,
        options: LogOptions,
        containers: Sequence[str],
    ) -> None:
        self._client, self._name, self._namespace = client, name, namespace
        self._options, self._containers = options, containers
        self._runs: set[str] = set()
        self._seen: set[tuple[str, str]] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stop = Stop()

    def attend(self, pod: dict[str, Any]) -> None:
        """Follow this pod's started containers that are not followed yet; raises CommandFailedError."""
        for status in container_statuses(pod):
            run = status.get("containerID", "")
            started = not {"running", "terminated"}.isdisjoint(status.get("state", {}))
            if status.get("name") not in self._containers or not started or not run or run in self._runs:
                continue
            source = (pod["metadata"]["name"], status["name"])
            self._follow(*source, again=source in self._seen)
            self._runs.add(run)
            self._seen.add(source)

    def _follow(self, pod: str, container: str, *, again: bool) -> None:
        if sum(thread.is_alive() for thread in self._threads) >= MOST_STREAMS:
            raise CommandFailedError(f"more than {MOST_STREAMS} containers; select one with --pod or --container")
        # After a restart, print the new run from its start.
        options = replace(self._options, tail=_ALL_LINES) if again else self._options
        thread = threading.Thread(target=self._copy, args=(pod, container, options), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _copy(self, pod: str, container: str, options: LogOptions) -> None:
        try:
            for line in self._client.log(pod, container, self._namespace, options, self._stop):
                with self._lock:
                    say(shown(line, pod, container, self._name, several=True).expandtabs())
                    sys.stdout.flush()
        except BrokenPipeError:  # As in `… | head`.
            self._interrupt_once()
        except SdkError as error:
            say(f"{pod} {container}: {error}", err=True)

    def _interrupt_once(self) -> None:
        """End all streams, and the main thread's wait for pods."""
        with self._lock:
            if not self._stop.stopped:
                self._stop.now()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def close(self) -> None:
        """End every stream and print its remaining lines."""
        self._stop.now()
        for thread in self._threads:
            thread.join()


def _print_error(error: SdkError) -> None:
    say(f"{error}; retrying", err=True)
