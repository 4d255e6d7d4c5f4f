"""Command line of the sidecar `proxy`.

Exit status: 0 after SIGTERM, 1 if there was no valid policy and certificate within `--wait` seconds, otherwise the
exit status of HAProxy.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from triton_operator.api import names
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.report import Report
from triton_operator.proxy.supervisor import Supervisor, SupervisorSettings
from triton_operator.triton.proxy_contract import policy

PROGRAM = Path("/opt/haproxy/sbin/haproxy")
"""HAProxy in the operator's image."""


def main(arguments: list[str] | None = None) -> int:
    """Run the proxy; returns the exit status."""
    options = argument_parser().parse_args(arguments)
    placement = Placement(
        https=options.https,
        health=options.health,
        triton_http=options.triton_http,
        triton_grpc=options.triton_grpc,
        folder=options.work,
        threads=options.threads,
        silence_seconds=options.silence,
        drain_seconds=options.drain,
    )
    settings = SupervisorSettings(options.policy, options.tls, options.haproxy, placement, options.wait)
    return Supervisor(settings, Report(options.termination_log)).run()


def argument_parser() -> argparse.ArgumentParser:
    """The options; their defaults are those of the container."""
    defaults = Placement()
    every = ":::{} v4v6" if socket.has_dualstack_ipv6() else "*:{}"
    parser = argparse.ArgumentParser(
        prog="python3 -m triton_operator.proxy",
        description="Serve Triton over TLS to the callers that a policy admits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--policy", type=Path, default=Path(policy.POLICY_DIR), help="folder with the policy")
    add("--tls", type=Path, default=Path(policy.TLS_DIR), help="folder with the serving certificate")
    add("--work", type=Path, default=Path(policy.WORK_DIR), help="folder for rendered files")
    add("--haproxy", type=Path, default=PROGRAM, help="program to run")
    add("--https", default=every.format(names.PORT_HTTPS), help="address for clients")
    add("--health", default=every.format(names.PORT_HEALTH), help="address for health checks, without TLS")
    add("--triton-http", default=defaults.triton_http, help="address of Triton's HTTP server")
    add("--triton-grpc", default=defaults.triton_grpc, help="address of Triton's gRPC server")
    add("--threads", type=int, default=min(4, len(os.sched_getaffinity(0))), help="threads of HAProxy")
    add("--silence", type=int, default=defaults.silence_seconds, help="seconds until a silent client is disconnected")
    add("--wait", type=float, default=15, help="seconds to wait for a valid policy and certificate")
    add("--drain", type=int, default=defaults.drain_seconds, help="seconds for requests to finish after SIGTERM")
    add("--termination-log", type=Path, default=Path("/dev/termination-log"), help="file for the termination message")
    return parser


if __name__ == "__main__":
    sys.exit(main())
