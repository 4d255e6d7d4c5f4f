"""Follow the logs of a deployment: one kubectl per running container, and one that watches for new pods.

Input: the current pods. Output: lines on standard output until Ctrl-C, after which no child process is left.
`kubectl logs -f -l` cannot be used: it follows only the pods and containers that run when it starts.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import typer

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.kubectl.cluster import place, selector, watch
from triton_operator.cli.logs.line import shown
from triton_operator.cli.status.pods import container_statuses
from triton_operator.cli.terminal.output import say
from triton_operator.sdk.kubectl import Kubectl

MOST_STREAMS = 40
"""Each one is a process of 40 MB and a connection; with more pods, users select one."""
_PAUSE_SECONDS = 1.0


def follow_pods(
    cluster: Kubectl,
    name: str,
    namespace: str,
    *,
    only: str,
    pods: Sequence[dict[str, Any]],
    containers: Sequence[str],
    options: Sequence[str],
) -> None:
    """Print lines until Ctrl-C. `only` is the name of one pod; if empty, all pods are followed."""
    streams = Streams(cluster, name, [*place(namespace), *options], containers)
    what = [only] if only else selector(name)
    try:
        for pod in pods:
            streams.attend(pod)
        if not pods:
            typer.echo(f"{name} has no pods yet; waiting for one", err=True)
        while True:
            for pod in watch(cluster, "pods", *what, *place(namespace)):
                streams.attend(pod)
            streams.ended.wait(_PAUSE_SECONDS)  # The API server closes a watch after minutes.
    finally:
        streams.close()


class Streams:
    """The kubectl processes, one per run of a container."""

    def __init__(self, cluster: Kubectl, name: str, options: Sequence[str], containers: Sequence[str]) -> None:
        self._cluster, self._name, self._options, self._containers = cluster, name, options, containers
        self._runs: set[str] = set()
        self._seen: set[tuple[str, str]] = set()
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.ended = threading.Event()

    def attend(self, pod: dict[str, Any]) -> None:
        """Follow this pod's started containers that are not followed yet; raises CommandFailedError."""
        for status in container_statuses(pod):
            run = status.get("containerID", "")
            started = not {"running", "terminated"}.isdisjoint(status.get("state", {}))
            if status.get("name") not in self._containers or not started or not run or run in self._runs:
                continue
            seat = (pod["metadata"]["name"], status["name"])
            self._follow(*seat, again=seat in self._seen)
            self._runs.add(run)
            self._seen.add(seat)

    def _follow(self, pod: str, container: str, *, again: bool) -> None:
        if sum(process.poll() is None for process in self._processes) >= MOST_STREAMS:
            raise CommandFailedError(f"more than {MOST_STREAMS} containers; select one with --pod or --container")
        # After a restart, print the new run from its start.
        options = [option for option in self._options if not (again and option.startswith("--tail"))]
        command = self._cluster.command("logs", pod, "-c", container, "--prefix", "--follow", *options)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
        )
        thread = threading.Thread(target=self._copy, args=(process,), daemon=True)
        self._processes.append(process)
        self._threads.append(thread)
        thread.start()

    def _copy(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            with self._lock:
                try:
                    say(shown(line.rstrip("\n"), self._name, several=True).expandtabs())
                    sys.stdout.flush()
                except BrokenPipeError:  # As in `… | head`: wake the main thread, which waits for kubectl.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    return

    def close(self) -> None:
        """End every kubectl and print its remaining output."""
        self.ended.set()
        for process in self._processes:
            process.terminate()
        for process, thread in zip(self._processes, self._threads, strict=True):
            process.wait()
            thread.join()
            if process.stdout:
                process.stdout.close()
