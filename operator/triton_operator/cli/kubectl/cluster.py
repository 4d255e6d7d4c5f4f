"""What commands read from the cluster: one kubectl for each question, however many objects it is about.

Input: kinds, names, selectors. Output: the JSON of objects, now or with every change. All of it through the user's own
kubectl (`sdk.kubectl`), whose sentences become our errors.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from triton_operator.api.names import GROUP, LABEL_DEPLOYMENT, PLURAL
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.kubectl import Kubectl, Object, explain

DEPLOYMENTS = f"{PLURAL}.{GROUP}"
REQUEST_SECONDS = 20
"""For one request; over a bad link a list of some hundred pods takes a few seconds."""


@dataclass
class Found:
    """Objects, and what kubectl said about those that it could not give."""

    items: list[Object] = field(default_factory=list)
    complaint: SdkError | None = None


def place(namespace: str) -> list[str]:
    """The options for a namespace, the context's own when it is empty."""
    return ["--namespace", namespace] if namespace else []


def selector(deployment: str) -> list[str]:
    """The options that select what belongs to a ModelDeployment."""
    return ["-l", f"{LABEL_DEPLOYMENT}={deployment}"]


def read(kubectl: Kubectl, *arguments: str, what: str) -> Found:
    """Run `kubectl get …` once. Objects that it has are given even where it complains about others."""
    command = kubectl.command("get", *arguments, "-o", "json", f"--request-timeout={REQUEST_SECONDS}s")
    with spinner(what):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaint = explain(done.stderr) if done.returncode else None
    answer: Any = None
    with suppress(json.JSONDecodeError):
        answer = json.loads(done.stdout) if done.stdout.strip() else None
    if not isinstance(answer, dict):
        raise complaint or UnreachableError(f"kubectl gave no JSON for {what}, but {done.stdout[:80]!r}")
    items = answer.get("items", [answer]) or []
    if not all(isinstance(item, dict) and "name" in (item.get("metadata") or {}) for item in items):
        raise complaint or UnreachableError(
            f"kubectl gave no objects for {what}, but {answer.get('kind', 'something')}"
        )
    return Found(items, complaint)


def pods_of(kubectl: Kubectl, deployment: str, namespace: str) -> list[Object]:
    """The deployment's pods. If there are none, checks that the deployment exists: raises DeploymentNotFoundError."""
    found = read(kubectl, "pods", *selector(deployment), *place(namespace), what=f"the pods of {deployment}")
    if found.complaint:
        raise found.complaint
    if not found.items:
        kubectl.deployment(deployment, namespace)
    return sorted(found.items, key=lambda pod: str(pod["metadata"]["name"]))


def watch(kubectl: Kubectl, *arguments: str) -> Iterator[Object]:
    """Yield objects as they are and change, until kubectl or the API server ends it; closing it ends kubectl."""
    return (item for item in watch_and_tick(kubectl, *arguments, tick=None) if item is not None)


def watch_and_tick(kubectl: Kubectl, *arguments: str, tick: float | None) -> Iterator[Object | None]:
    """As `watch`, with None whenever nothing came for `tick` seconds."""
    command = kubectl.command("get", *arguments, "--watch", "-o", "json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield from _documents(process.stdout, tick)
        finally:
            process.terminate()


def _documents(stream: IO[bytes] | None, tick: float | None) -> Iterator[Object | None]:
    """Split a stream of JSON objects: indented ones, or, of events, one a line."""
    assert stream is not None  # noqa: S101 - it was opened as a pipe above.
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(tick):
                yield None
                continue
            chunk = os.read(stream.fileno(), 1 << 16)
            if not chunk:
                return
            text += chunk
            if text.endswith(b"}\n"):  # Perhaps of an inner object; then nothing can be split off yet.
                found, text = _split(text)
                yield from found


def _split(text: bytes) -> tuple[list[Object], bytes]:
    """The objects that are complete, and what is left."""
    decoder, rest, found = json.JSONDecoder(), text.decode(errors="replace"), []
    while rest.strip():
        try:
            item, end = decoder.raw_decode(rest.lstrip())
        except json.JSONDecodeError:
            break
        found.append(item)
        rest = rest.lstrip()[end:]
    return found, rest.strip().encode()


def names(items: Sequence[Object]) -> list[str]:
    """Their names."""
    return [str(item["metadata"]["name"]) for item in items]
