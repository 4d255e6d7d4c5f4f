"""The pages of docs/reasons and the output in them, which the operator's code generates from a state with the reason.

`make docs` updates the output after the wording of a message has changed. Review the difference before you commit it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes import World
from tests.kubectl_table import get_md
from tests.reason_states import STATES
from triton_operator.api.conditions import EXPOSED, PRIVACY_ENFORCED, RUNTIME_VULNERABLE, SCALING_ACTIVE, Reason
from triton_operator.cli.status.command import print_report
from triton_operator.cli.status.report import report

FOLDER = Path(__file__).parents[1] / "docs" / "reasons"

OF_OTHER_CONDITIONS = {
    Reason.TLS_NOT_CONFIGURED: PRIVACY_ENFORCED,
    Reason.POLICY_MISSING: PRIVACY_ENFORCED,
    Reason.CACHE_EGRESS_OPEN: PRIVACY_ENFORCED,
    Reason.OTHER_POLICY_OPENS_POD: PRIVACY_ENFORCED,
    Reason.NETWORK_NOT_PROVEN: PRIVACY_ENFORCED,
    Reason.NETWORK_NOT_ENFORCED: PRIVACY_ENFORCED,
    Reason.TLS_NOT_VERIFIABLE: PRIVACY_ENFORCED,
    Reason.NOT_AIR_GAPPED: PRIVACY_ENFORCED,
    Reason.OTHER_AUTOSCALER: SCALING_ACTIVE,
    Reason.CALLERS_NOT_NAMED: PRIVACY_ENFORCED,
    Reason.ADDRESS_PENDING: EXPOSED,
    Reason.HOST_IN_USE: EXPOSED,
    Reason.GATEWAY_API_NOT_INSTALLED: EXPOSED,
    Reason.ROUTE_PENDING: EXPOSED,
    Reason.ROUTE_NOT_ACCEPTED: EXPOSED,
    Reason.KEDA_NOT_INSTALLED: SCALING_ACTIVE,
    Reason.METRICS_BLOCKED: SCALING_ACTIVE,
    Reason.PAUSED: SCALING_ACTIVE,
    Reason.BELOW_SECURITY_FLOOR: RUNTIME_VULNERABLE,
    Reason.RELEASE_UNKNOWN: RUNTIME_VULNERABLE,
}
"""Reasons of other conditions than Ready that have a page."""

_OPENING, _CLOSING = "```console\n", "```\n"
_GAP = "…"


async def world_with(reason: str) -> World:
    """A world whose condition has this reason."""
    with tempfile.TemporaryDirectory() as folder:
        return await STATES[reason](Path(folder))


def shown_by(page: Path) -> str:
    """The commands and the output in a page."""
    return page.read_text().partition(_OPENING)[2].partition(_CLOSING)[0]


def output(reason: str, world: World) -> str:
    """The line of `kubectl get md`, and the part of `tritonctl status` about the reason."""
    body = {**world.body, "status": msgspec.to_builtins(world.status)}
    name = body["metadata"]["name"]
    lines = [line.rstrip() for line in _report(body).splitlines()]
    head = lines[: lines.index("", 1)] if reason not in OF_OTHER_CONDITIONS else [lines[0]]
    rows = [_GAP, *_row(lines, OF_OTHER_CONDITIONS[reason])] if reason in OF_OTHER_CONDITIONS else [_GAP]
    table = "\n".join([*head, *rows])
    return f"$ kubectl get md {name}\n{get_md(body)}\n$ tritonctl status {name}\n{table}\n"


def is_tried_again(world: World) -> bool:
    """Whether the status reports automatic recovery."""
    return world.condition("Reconciling").status == "True"


def _report(body: dict[str, Any]) -> str:
    """The output of `tritonctl status` into a pipe."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_report(report(body, []))
    return out.getvalue()


def _row(lines: list[str], condition: str) -> list[str]:
    """The header of the table of conditions, and the lines of one condition."""
    (head,) = (index for index, line in enumerate(lines) if line.startswith("CONDITION"))
    (start,) = (index for index, line in enumerate(lines) if index > head and line.startswith(condition))
    end = next(index for index in range(start + 1, len(lines)) if not lines[index].startswith(" "))
    return [lines[head], *([_GAP] if start > head + 1 else []), *lines[start:end]]


async def _rewrite_outputs() -> None:
    for reason in STATES:
        page = FOLDER / f"{reason}.md"
        before, _, rest = page.read_text().partition(_OPENING)
        after = rest.partition(_CLOSING)[2]
        page.write_text(f"{before}{_OPENING}{output(reason, await world_with(reason))}{_CLOSING}{after}")


if __name__ == "__main__":
    asyncio.run(_rewrite_outputs())
