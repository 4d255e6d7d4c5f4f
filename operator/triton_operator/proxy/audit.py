"""The audit log: one JSON line on stdout for each request, or for each refused one.

Input: `spec.privacy.audit`. Output: lines of a `frontend`. A line has the time, the caller, the model, the protocol,
the status, the duration and the sizes, and the reason of a refusal; "-" means that a value is not known. A line never
has a query, a body, a token or a header. Names are escaped, because the model of a gRPC call is what a client wrote.
"""

from __future__ import annotations

from triton_operator.api.privacy import Audit

_TIME = "%[date,utime(%Y-%m-%dT%H:%M:%SZ)]"
_REQUEST = {
    "time": f'"{_TIME}"',
    "caller": '"%[var(txn.caller),json(utf8s)]"',
    "model": '"%[var(txn.model),json(utf8s)]"',
    "protocol": '"%[var(txn.protocol)]"',
    "status": "%ST",
    "grpcStatus": '"%[var(txn.grpc_status),json(utf8s)]"',
    "durationMs": "%Ta",
    "requestBytes": "%U",
    "responseBytes": "%B",
    "reason": '"%[var(txn.refused)]"',
}
_HANDSHAKE = {"time": f'"{_TIME}"', "protocol": '"tls"', "reason": '"%[fc_err_str,json(utf8s)]"'}


def log(audit: Audit) -> list[str]:
    """Rules that select what is logged, and the format."""
    if audit == Audit.OFF:
        return []
    refused_only = ["http-response set-log-level silent unless { var(txn.refused) -m found }"]
    return [
        "log stdout len 4096 format raw local0",
        f"log-format '{_line(_REQUEST)}'",
        f"error-log-format '{_line(_HANDSHAKE)}'",
        # The status of a call that returned messages is in the trailers, which HAProxy 2.6 cannot read.
        "http-after-response set-var(txn.grpc_status) res.fhdr(grpc-status) if { res.fhdr(grpc-status) -m found }",
        *(refused_only if audit == Audit.REFUSED else []),
    ]


def _line(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
