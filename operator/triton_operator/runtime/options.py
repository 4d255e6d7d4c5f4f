"""Options of the process: flags, and the environment variables that the chart sets.

`__main__` calls `parse` once; everything else receives the Options.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from triton_operator.certificates.periods import ANNOUNCED
from triton_operator.runtime.resync import INTERVAL

METRICS_PORT = 8080


class Options(NamedTuple):
    """All settings of one process.

    If `namespace` is None, the process reconciles all namespaces. If `kubeconfig` is None, it uses the pod's service
    account, or outside a pod KUBECONFIG or ~/.kube/config.
    """

    settings: Path
    kubeconfig: Path | None
    namespace: str | None
    own_namespace: str | None
    identity: str
    listen: str
    metrics_port: int
    log_level: str
    workers: int
    resync_seconds: float
    authority_announced: timedelta = ANNOUNCED


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Parse the flags, whose defaults come from the environment; exit with a usage message if they are not valid."""
    parser = _parser(environment)
    found = parser.parse_args(arguments)
    if not found.settings:
        parser.error("no settings file: set --settings or TRITON_OPERATOR_SETTINGS")
    return Options(
        settings=Path(found.settings),
        kubeconfig=Path(found.kubeconfig) if found.kubeconfig else None,
        namespace=found.namespace or None,
        own_namespace=environment.get("POD_NAMESPACE") or None,
        identity=found.identity,
        listen=found.listen,
        metrics_port=found.metrics_port,
        log_level=found.log_level.upper(),
        workers=found.workers,
        resync_seconds=found.resync_seconds,
        authority_announced=timedelta(seconds=found.authority_announced),
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m triton_operator.runtime",
        description="Run the Triton operator. The chart sets the environment variables in brackets.",
    )
    add = parser.add_argument
    add(
        "--settings",
        metavar="FILE",
        default=environment.get("TRITON_OPERATOR_SETTINGS"),
        help="JSON file with the operator image and the catalogue of server images [TRITON_OPERATOR_SETTINGS]",
    )
    add(
        "--kubeconfig",
        metavar="FILE",
        default=None,
        help="kubeconfig file; default: the pod's service account, else KUBECONFIG or ~/.kube/config",
    )
    add(
        "--namespace",
        default=environment.get("WATCH_NAMESPACE", ""),
        help="reconcile only this namespace; default: all [WATCH_NAMESPACE]",
    )
    add(
        "--identity",
        default=environment.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        help="name in the Lease and in Events; default: host name and process ID [POD_NAME]",
    )
    add("--listen", metavar="ADDRESS", default="", help="address of probes and metrics; default: all addresses")
    add(
        "--metrics-port",
        type=int,
        metavar="PORT",
        default=METRICS_PORT,
        help=f"port of /healthz, /readyz and /metrics; default: {METRICS_PORT}",
    )
    add(
        "--resync-seconds",
        type=float,
        metavar="N",
        default=INTERVAL,
        help=f"seconds between two requests for the list of all ModelDeployments, ±20 %%; default: {INTERVAL:.0f}",
    )
    add(
        "--authority-announced",
        type=float,
        metavar="N",
        default=ANNOUNCED.total_seconds(),
        help="seconds for which clients get the next certificate authority before it signs; default: "
        f"{ANNOUNCED.total_seconds():.0f}",
    )
    add("--workers", type=int, metavar="N", default=16, help="deployments reconciled concurrently; default: 16")
    add(
        "--log-level",
        default=environment.get("LOG_LEVEL", "INFO"),
        type=str.upper,
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="minimum severity to log; default: INFO [LOG_LEVEL]",
    )
    return parser
