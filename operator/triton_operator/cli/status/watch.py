"""`tritonctl status --watch`: redraw the status on a terminal, or print a line for each change elsewhere.

Input: which deployments. Output: their state until Ctrl-C. The tree of a deployment is read again on every change and
every few seconds, because its pods change independently.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from queue import Empty, Queue
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cli.status.read import read_report
from triton_operator.cli.status.report import Summary, summary
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import plain_text, print_data, print_json_line, say
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Event, Object, Selection
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.follow import DELETED, follow
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from rich.console import RenderableType

REDRAW_SECONDS = 3.0


class Watched(NamedTuple):
    """The deployments to watch."""

    names: list[str]
    namespace: str
    everywhere: bool

    def selection(self) -> Selection:
        """What to read and to watch: one object, or all."""
        name = self.names[0] if len(self.names) == 1 else ""
        return Selection(MODEL_DEPLOYMENTS, None if self.everywhere else self.namespace, name)

    def has(self, item: Object) -> bool:
        """Whether this object is one of them."""
        return not self.names or item["metadata"]["name"] in self.names


def show_changes(client: KubernetesClient, watched: Watched, output: OutputFormat) -> None:
    """Print until Ctrl-C. Raises DeploymentNotFoundError, RejectedError or UnreachableError only at the start."""
    if output is OutputFormat.TABLE and sys.stdout.isatty():
        _draw(client, watched)
        return
    printed: dict[str, Summary | None] = {}
    for kind, item in changes(client, watched):
        now = None if kind == DELETED else summary(item)
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        if name not in printed or printed[name] != now:
            printed[name] = now
            _print_change(name, now, output)


def changes(client: KubernetesClient, watched: Watched) -> Iterator[Event]:
    """Yield the current objects, then each change; errors after the first list are printed."""
    events = follow(client, watched.selection(), on_error=lambda error: say(f"{error}; retrying", err=True))
    return (event for event in events if watched.has(event.object))


def _with_ticks(events: Iterator[Event], seconds: float) -> Iterator[Event | None]:
    """Yield the events, and None if none comes for `seconds`."""
    queue: Queue[Event | Exception] = Queue()

    def read() -> None:
        try:
            for event in events:
                queue.put(event)
        except Exception as error:  # noqa: BLE001 - raised where the queue is read.
            queue.put(error)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            item = queue.get(timeout=seconds)
        except Empty:
            yield None
            continue
        if isinstance(item, Exception):
            raise item
        yield item


def _print_change(name: str, now: Summary | None, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json_line(now or {"name": name, "deleted": True})
    elif output is OutputFormat.YAML:
        sys.stdout.write("---\n")
        print_data(now or {"name": name, "deleted": True}, output)
    else:
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        ready = "Ready" if now and now.ready else "Not ready"
        line = f"{ready}  {now.reason}  {now.ready_replicas}/{now.replicas}  {now.message}" if now else "Deleted"
        say(f"{clock}  {name}  {line}".rstrip())
    sys.stdout.flush()


def _draw(client: KubernetesClient, watched: Watched) -> None:
    from rich.console import Console
    from rich.live import Live

    items: dict[tuple[str, str], Object] = {}
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        for event in _with_ticks(changes(client, watched), REDRAW_SECONDS):
            if event is not None:
                kind, item = event
                key = (item["metadata"]["namespace"], item["metadata"]["name"])
                items[key] = item
                if kind == DELETED:
                    del items[key]
            live.update(_picture(client, watched, items), refresh=True)


def _picture(client: KubernetesClient, watched: Watched, items: dict[tuple[str, str], Object]) -> RenderableType:
    from rich.text import Text

    from triton_operator.cli.status.text import render_list, render_report

    if not items:
        return Text("ModelDeployment not found")
    if len(watched.names) == 1:
        ((namespace, name), item) = next(iter(items.items()))
        try:
            return render_report(read_report(client, name, namespace, item))
        except SdkError as error:
            return plain_text(f"{error}; retrying")
    return render_list([summary(item) for _, item in sorted(items.items())], with_namespace=watched.everywhere)
