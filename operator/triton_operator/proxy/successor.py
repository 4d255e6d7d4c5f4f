"""Pass requests that still reach an old worker on to its successor, so that a removed caller is rejected immediately.

Input: a Placement. Output: lines of a `frontend`, and backends. After a reload, the old worker keeps a connection until
its next response, because a client that is about to send a request would get an error. Both policies decide about that
request: first the old one, then that of the new worker. A request with a client certificate cannot be passed on; for
it, and for messages of streams, the old worker looks up whether the caller is still admitted (`admissions`). When the
pod ends there is no new worker, and Triton gets the request.
"""

from __future__ import annotations

from triton_operator.proxy.models import check_messages
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.routes import clean

_HTTP, _GRPC = "successor_http", "successor_grpc"
_SERVER = "successor"


def choose_successor() -> list[str]:
    """The first rule that chooses a backend, and a rule that leaves the audit log to the new worker."""
    old = "{ stopping } !{ ssl_c_used }"
    return [
        f"http-response set-log-level silent if {{ srv_name {_SERVER} }}",
        f"use_backend {_GRPC} if {old} grpc",
        f"use_backend {_HTTP} if {old}",
    ]


def successor_backends(placement: Placement) -> dict[str, list[str]]:
    """The new worker, which listens on the same port, or Triton if a connection to that port is refused."""
    port = placement.https.rpartition(":")[2].split()[0]
    # It is a port of this pod on loopback, so there is nobody to verify.
    server = f"server {_SERVER} 127.0.0.1:{port} ssl verify none"
    # The first failed connection selects the other server; the interval only enables this.
    failing = "check inter 1h observe layer4 error-limit 1 on-error mark-down"
    common = [*clean("authorization"), "http-reuse safe", "option redispatch 1", "retries 3"]
    return {
        f"backend {_HTTP}": [
            *common,
            f"{server} alpn http/1.1 {failing}",
            f"server triton {placement.triton_http} backup",
        ],
        f"backend {_GRPC}": [
            *check_messages(str(placement.folder)),
            *common,
            f"{server} alpn h2 proto h2 {failing}",
            f"server triton {placement.triton_grpc} proto h2 backup",
        ],
    }
