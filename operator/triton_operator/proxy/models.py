"""Limit callers to models: rules for HTTP, and the choice of gRPC calls whose messages are read.

Input: the callers of a checked policy. Output: lines of a `frontend`. The model of an HTTP request is part of its path;
that of a gRPC call is a field of each message, which the filter in `grpc_messages.lua` reads. The variable `txn.model`
is for the audit log; for gRPC it is taken from the first message without a full check, and no rule depends on it.
"""

from __future__ import annotations

from triton_operator.proxy.refusals import (
    MESSAGE_REFUSED,
    MODEL_NOT_PERMITTED,
    STREAM_NOT_PERMITTED,
    TOO_LARGE,
    grpc_file,
    refuse,
)
from triton_operator.triton.proxy_contract.policy import Caller, ProxyPolicy

CHECKED = "triton_grpc_checked"
"""The backend whose requests are read message by message."""


def limit_models(policy: ProxyPolicy, folder: str) -> list[str]:
    """Rules that refuse models which a caller has no access to."""
    limited = [caller for caller in policy.callers or () if caller.models]
    streams = [caller.name for caller in policy.callers or () if caller.requests_per_second]
    return [
        "http-request set-var(txn.model) path,field(4,/) if { path_beg /v2/models/ }",
        *(line for caller in limited for line in _permit(caller)),
        "acl of_a_model var(txn.model) -m found",
        "acl limited_models var(txn.models) -m found",
        *refuse(
            MODEL_NOT_PERMITTED,
            "if limited_models all_statistics or limited_models of_a_model !{ var(txn.permitted) -m found }",
            folder,
        ),
        *(
            refuse(STREAM_NOT_PERMITTED, f"if grpc_stream {{ var(txn.caller) -m str {' '.join(streams)} }}", folder)
            if streams
            else []
        ),
    ]


def limit_sizes(policy: ProxyPolicy, folder: str) -> list[str]:
    """Rules that refuse large bodies; the messages of a stream are checked one by one."""
    limit = policy.limits.max_body_bytes
    return [
        *refuse(TOO_LARGE, f"if {{ req.hdr(content-length),add(0) gt {limit} }}", folder),
        # One message follows, with its length in bytes 1 to 4.
        "http-request wait-for-body time 10s at-least 256 if grpc !grpc_stream",
        "http-request set-var(txn.model) req.body,ungrpc(1),bytes(0,63) if grpc !grpc_stream grpc_of_a_model",
        *refuse(TOO_LARGE, f"if grpc !grpc_stream {{ req.body,bytes(1,4),be2dec(,4),add(0) gt {limit} }}", folder),
        f"http-request set-var(txn.max_message) str({limit}) if grpc",
    ]


def choose_backend() -> list[str]:
    """Rules that select the backend with the filter only if it is needed, because it costs CPU."""
    return [f"use_backend {CHECKED} if grpc grpc_stream or grpc grpc_of_a_model limited_models"]


def check_messages(folder: str) -> list[str]:
    """Lines of a backend that reads messages: an error of the filter becomes a gRPC status."""
    return ["no log", "filter lua.grpc_messages", f"errorfile 400 {folder}/{grpc_file(MESSAGE_REFUSED)}"]


def _permit(caller: Caller) -> list[str]:
    is_caller = f"{{ var(txn.caller) -m str {caller.name} }}"
    permitted = f"{{ var(txn.model) -m str {' '.join(caller.models)} }}"
    return [
        f"http-request set-var(txn.models) str(:{':'.join(caller.models)}:) if {is_caller}",
        f"http-request set-var(txn.permitted) str(1) if {is_caller} {permitted}",
    ]
