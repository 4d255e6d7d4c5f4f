"""Wait until a deployment is Ready, or cannot become Ready.

Input: the object and its changes, from `deployments`. Output: the status of a deployment that is Ready. The clients and
`tritonctl deploy` call it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from triton_operator.sdk.errors import NotReadyError
from triton_operator.sdk.status import DeploymentStatus, judge

Progress = Callable[[DeploymentStatus], None]
"""Called with the first status, and whenever its reason or message changes."""


def wait_until_ready(
    changes: Generator[dict[str, Any]], seconds: float, on_progress: Progress | None = None
) -> DeploymentStatus:
    """Return the first status that is Ready; raises NotReadyError if it is stalled, or when the changes end.

    Closes `changes` and its connection, which a traceback that refers to the generator would otherwise keep open.
    """
    last: DeploymentStatus | None = None
    with closing(changes):
        for deployment in changes:
            found = judge(deployment)
            if on_progress and (last is None or (found.reason, found.message) != (last.reason, last.message)):
                on_progress(found)
            if found.stalled:  # After a rollback it is Ready, too, but with the pods of an earlier revision.
                raise NotReadyError(_name(found), found.reason, found.message, stalled=True)
            if found.ready:
                return found
            last = found
    if last is None:
        raise NotReadyError(
            "the deployment", "StatusUnknown", "the time limit expired before the status was read", stalled=False
        )
    raise NotReadyError(f"{_name(last)} after {seconds:g} s", last.reason, last.message, stalled=False)


def _name(status: DeploymentStatus) -> str:
    return f"{status.namespace}/{status.name}"
