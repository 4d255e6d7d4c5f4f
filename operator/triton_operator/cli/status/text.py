"""The text form of `tritonctl status`: first whether it is Ready, then the details.

Input: a StatusReport, or Summaries. Output: rich renderables, which are printed once or redrawn by --watch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from triton_operator.cli.status.report import StatusReport, Summary
from triton_operator.cli.terminal.output import plain_text, table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text
    from rich.tree import Tree

    from triton_operator.cli.status.tree import TreeNode

_COLOURS = {True: "green", False: "red", None: ""}


def render_report(found: StatusReport) -> Group:
    """One deployment in full."""
    from rich.console import Group
    from rich.text import Text

    first, *others = _sections(found)
    return Group(first, *(part for section in others for part in (Text(), section)))


def _sections(found: StatusReport) -> Iterator[RenderableType]:
    from rich.console import Group
    from rich.text import Text

    word = Text("Ready", style="bold green") if found.ready else Text("Not ready", style="bold red")
    head = Text.assemble(f"{found.namespace}/{found.name}  ", word, plain_text(f"  {found.reason}"))
    yield Group(head, plain_text(found.message))
    yield Text(f"{found.ready_replicas} of {found.replicas} replicas ready")
    if found.models:
        models = [(m.name, m.state, ", ".join(m.versions), m.digest[:19], m.message) for m in found.models]
        yield table(["MODEL", "STATE", "VERSIONS", "DIGEST", "MESSAGE"], models)
    if found.cache:
        yield plain_text(f"Cache {found.cache.claim_name}: {found.cache.state} since {found.cache.since}")
    if found.children:
        yield _tree(found)
    if found.conditions:
        conditions = [(c.type, c.status, c.reason, c.message) for c in found.conditions]
        yield table(["CONDITION", "STATUS", "REASON", "MESSAGE"], conditions)
    if found.controls:
        controls = [(c.name, c.state, "yes" if c.required else "no", c.message) for c in found.controls]
        yield table(["PRIVACY CONTROL", "STATE", "REQUIRED", "MESSAGE"], controls)
    if failure := found.last_failure:
        yield plain_text(
            f"Last failure {failure.time}: {failure.pod}/{failure.container} {failure.reason}: {failure.message}"
        )
    if found.endpoints.https:
        yield plain_text(f"HTTP and gRPC with TLS {found.endpoints.https}   (inside the cluster)")
    if found.endpoints.http:
        yield plain_text(f"HTTP {found.endpoints.http}   gRPC {found.endpoints.grpc}   (inside the cluster)")
    if found.endpoints.external:
        yield plain_text(f"{'   '.join(found.endpoints.external)}   (from outside)")


def _tree(found: StatusReport) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(f"ModelDeployment {found.name}"))

    def grow(branch: Tree, nodes: Sequence[TreeNode]) -> None:
        for node in nodes:
            grow(branch.add(_line(node)), node.children)

    grow(tree, found.children)
    return tree


def _line(node: TreeNode) -> Text:

    line = plain_text(f"{node.kind} {node.name}" + (f"  {node.state}" if node.state else ""))
    if node.state and _COLOURS[node.good]:
        line.stylize(_COLOURS[node.good], len(node.kind) + len(node.name) + 3)
    return line.append_text(plain_text(f"  {node.message}")) if node.message else line


def render_list(found: Sequence[Summary], *, with_namespace: bool) -> RenderableType:
    """Several deployments, one line each."""
    heads = ["NAME", "READY", "REASON", "REPLICAS", "MODELS", "MESSAGE"]
    rows = [
        (
            f"{each.namespace}/{each.name}" if with_namespace else each.name,
            str(each.ready),
            each.reason,
            f"{each.ready_replicas}/{each.replicas}",
            ", ".join(each.models),
            each.message,
        )
        for each in found
    ]
    return table(heads, rows)
