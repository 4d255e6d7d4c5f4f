"""`tritonctl status --watch`: redraw the status on a terminal, or print a line for each change elsewhere.

Input: which deployments. Output: their state until Ctrl-C. Changes come from a watch. The tree of a deployment is read
again on every change and every few seconds, because its pods change independently. A watch that ends is started again;
if watching is not permitted, the objects are polled with increasing pauses.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cli.kubectl.cluster import DEPLOYMENTS, place, read, watch_and_tick
from triton_operator.cli.status.read import read_report
from triton_operator.cli.status.report import Summary, summary
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import plain_text, print_data, print_json_line, say
from triton_operator.sdk.errors import SdkError
from triton_operator.sdk.kubectl import Kubectl, Object

if TYPE_CHECKING:
    from rich.console import RenderableType

REDRAW_SECONDS = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_USUAL_WATCH_SECONDS = 5.0
DELETED = "DELETED"


class Watched(NamedTuple):
    """The deployments to watch."""

    names: list[str]
    namespace: str
    everywhere: bool

    def arguments(self) -> list[str]:
        """The arguments for `kubectl get`."""
        where = ["--all-namespaces"] if self.everywhere else place(self.namespace)
        return [DEPLOYMENTS, *(self.names if len(self.names) == 1 else []), *where]

    def has(self, item: Object) -> bool:
        """Whether this object is one of them; kubectl can watch only one name or all."""
        return not self.names or item["metadata"]["name"] in self.names


def show_changes(cluster: Kubectl, watched: Watched, output: OutputFormat) -> None:
    """Print until Ctrl-C. Raises DeploymentNotFoundError, RejectedError or UnreachableError only at the start."""
    if output is OutputFormat.TABLE and sys.stdout.isatty():
        _draw(cluster, watched)
        return
    printed: dict[str, Summary | None] = {}
    for kind, item in changes(cluster, watched):
        if item is None:
            continue
        now = None if kind == DELETED else summary(item)
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        if name not in printed or printed[name] != now:
            printed[name] = now
            _print_change(name, now, output)


def changes(cluster: Kubectl, watched: Watched, *, tick: float | None = None) -> Iterator[tuple[str, Object | None]]:
    """Yield the current objects, then each change with its type; ("", None) if nothing changes for `tick` seconds."""
    pause, first = _FIRST_PAUSE, True
    while True:
        try:
            found = read(cluster, *watched.arguments(), what="the ModelDeployments")
            if found.complaint:
                raise found.complaint
            yield from (("", item) for item in found.items if watched.has(item))
        except SdkError as error:
            if first:
                raise
            say(f"{error}; retrying", err=True)
        first, begun = False, time.monotonic()
        for event in watch_and_tick(cluster, *watched.arguments(), "--output-watch-events", tick=tick):
            item = event and event.get("object", event)
            if item is None or watched.has(item):
                yield str((event or {}).get("type", "")), item
        lasted = time.monotonic() - begun > _USUAL_WATCH_SECONDS
        pause = _FIRST_PAUSE if lasted else min(2 * pause, _LONGEST_PAUSE)
        time.sleep(pause)


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


def _draw(cluster: Kubectl, watched: Watched) -> None:
    from rich.console import Console
    from rich.live import Live

    items: dict[tuple[str, str], Object] = {}
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        for kind, item in changes(cluster, watched, tick=REDRAW_SECONDS):
            if item is not None:
                key = (item["metadata"]["namespace"], item["metadata"]["name"])
                items[key] = item
                if kind == DELETED:
                    del items[key]
            live.update(_picture(cluster, watched, items), refresh=True)


def _picture(cluster: Kubectl, watched: Watched, items: dict[tuple[str, str], Object]) -> RenderableType:
    from rich.text import Text

    from triton_operator.cli.status.text import render_list, render_report

    if not items:
        return Text("ModelDeployment not found")
    if len(watched.names) == 1:
        ((namespace, name), item) = next(iter(items.items()))
        try:
            return render_report(read_report(cluster, name, namespace, item))
        except SdkError as error:
            return plain_text(f"{error}; retrying")
    return render_list([summary(item) for _, item in sorted(items.items())], with_namespace=watched.everywhere)
