"""Limit what one source address can hold and cancel, so that it does not stop the requests of other addresses.

Output: lines of the frontends, a backend and tables. Many clients can have one address, for example behind a gateway,
so the limits are far above normal use. Clients that cancel most of their requests are the exception: a stream that a
client opens and resets costs the client almost nothing. Such a connection becomes slow or is closed, and its address
has to pause before it can connect again. So does one that sends malformed requests, because each costs a connection.

Old workers connect to new ones from loopback (`successor`), and are not limited.
"""

from __future__ import annotations

from triton_operator.proxy.rates import above
from triton_operator.proxy.refusals import TOO_MANY_AT_ONCE, refuse_at_once

MAX_AT_ONCE = 2048
"""Connections of one address, and requests; half of all connections that the proxy accepts."""
MAX_NEW_CONNECTIONS = 10_000
"""New connections of one address within PERIOD_SECONDS; each costs a TLS handshake."""
MAX_MALFORMED = 1000
"""Malformed requests of one address within PERIOD_SECONDS, beyond its responses; each costs a TLS handshake."""
MAX_CANCELLED = 10_000
"""Cancelled requests of one address within PERIOD_SECONDS, if it cancels more than half of its requests."""
MAX_CANCELLED_OF_CONNECTION = 1000
"""Cancelled requests of one connection. Every response offsets two requests, so unfinished ones do not accumulate."""
MAX_OF_CANCELLING_SOURCE = 200
"""The same for an address above MAX_CANCELLED; more than the 100 unfinished requests of a connection."""
PERIOD_SECONDS = 10

_CONNECTIONS, _REQUESTS, _HEALTH = "connections", "requests", "health_connections"
_REFUSING = "cancelled"
_REASON = "TooManyCancelled"
_LIMITED = "!{ src 127.0.0.1 ::1 }"


def source_backends() -> dict[str, list[str]]:
    """Tables, because an entry counts either connections or requests, and the backend of refused streams.

    The kubelet can have the address of clients, which may come through the node. Its probes have a table of their own,
    so that these clients do not stop them.
    """
    period = f"{PERIOD_SECONDS}s"
    rates = f"conn_rate({period}),http_req_rate({period}),http_err_rate({period}),gpc0,gpc0_rate({period})"
    return {
        f"backend {_CONNECTIONS}": [f"stick-table type ipv6 size 10k expire 1m store conn_cur,{rates}"],
        f"backend {_HEALTH}": [f"stick-table type ipv6 size 10k expire 1m store conn_cur,conn_rate({period})"],
        f"backend {_REQUESTS}": ["stick-table type ipv6 size 10k expire 1m store conn_cur"],
        # The refusal of a stream closes its connection. If the client has reset the stream, it cannot, so it is slowed.
        f"backend {_REFUSING}": ["filter lua.cancelled_streams", "http-request reject"],
    }


def limit_connections() -> list[str]:
    """Rules for clients: they close new connections before the TLS handshake, without a log line."""
    return [
        *_limit_connections(_CONNECTIONS),
        "tcp-request connection set-var(sess.answered) sc_gpc0_rate(2)",
        f"tcp-request connection reject if {above(_cancelled('sess.answered'), MAX_CANCELLED)}",
        f"tcp-request connection reject if {above('sc_http_err_rate(2),sub(sess.answered)', MAX_MALFORMED)}",
        # HAProxy also has a response for a client that has left; it counts if it comes from Triton or is a refusal.
        "http-response set-var(txn.responded) str(1)",
        "acl answered var(txn.responded) -m found",
        "acl answered var(txn.refused) -m found",
        "http-after-response set-var(txn.answers) sc_inc_gpc0(2) if answered",
    ]


def limit_probes() -> list[str]:
    """Rules for health checks."""
    return _limit_connections(_HEALTH)


def _limit_connections(table: str) -> list[str]:
    return [
        f"tcp-request connection track-sc2 src table {table} if {_LIMITED}",
        f"tcp-request connection reject if {{ sc_conn_cur(2) gt {MAX_AT_ONCE} }}",
        f"tcp-request connection reject if {above('sc_conn_rate(2)', MAX_NEW_CONNECTIONS)}",
    ]


def count_cancelled() -> list[str]:
    """Rules that count the requests of a connection that have no response."""
    less = "var(sess.cancelled),sub(2)"
    return [
        "tcp-request session set-var(sess.cancelled) int(0)",
        "tcp-request content set-var(sess.cancelled) var(sess.cancelled),add(1)",
        f"http-after-response set-var(sess.cancelled) {less} if answered {{ var(sess.cancelled) -m int ge 2 }}",
    ]


def limit_requests(folder: str) -> list[str]:
    """Rules that refuse the requests of a client that cancels most of them, and too many requests at once."""
    several = f"{{ var(sess.cancelled) -m int gt {MAX_OF_CANCELLING_SOURCE} }}"
    too_many = f"{{ var(sess.cancelled) -m int gt {MAX_CANCELLED_OF_CONNECTION} }}"
    source = above(_cancelled("txn.answered"), MAX_CANCELLED)
    return [
        f"http-request set-var(txn.answered) sc_gpc0_rate(2) if {several}",
        f"http-request set-var(txn.refused) str({_REASON}) if {too_many} or {several} {source}",
        # The only rule that ends the evaluation without a response; `refuse_cancelled` selects the backend.
        "http-request allow if { var(txn.refused) -m found }",
        f"http-request track-sc1 src table {_REQUESTS} if {_LIMITED}",
        *refuse_at_once(TOO_MANY_AT_ONCE, f"if {{ sc_conn_cur(1) gt {MAX_AT_ONCE} }}", folder),
    ]


def refuse_cancelled() -> list[str]:
    """The first rule that chooses a backend: the one that refuses requests."""
    return [f"use_backend {_REFUSING} if {{ var(txn.refused) -m str {_REASON} }}"]


def _cancelled(answered: str) -> str:
    """An expression: the requests of the tracked address, minus two for each response."""
    return f"sc_http_req_rate(2),sub({answered}),sub({answered})"
