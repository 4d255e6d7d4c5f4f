"""Admit callers: rules that verify tokens and client certificates, and the limits of each caller.

Input: the callers and issuers of a checked policy. Output: lines of a `frontend`, and files with keys. Text of users is
compared as hexadecimal digits, so it cannot be read as syntax. The first rule that matches names the caller, in the
variable `txn.caller`.

`token_verifier` verifies tokens, and `token_memory` remembers them.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.proxy.rates import above
from triton_operator.proxy.refusals import (
    INVALID_TOKEN,
    MALFORMED,
    NO_CREDENTIALS,
    NOT_ADMITTED,
    NOT_VERIFIED,
    RATE_LIMITED,
    refuse,
    refuse_at_once,
)
from triton_operator.proxy.token_memory import caller_maps, identify
from triton_operator.proxy.token_verifier import address, encoded, has_tokens, token_key_files
from triton_operator.triton.proxy_contract.policy import Caller, ProxyPolicy

CLIENT_AUTHORITIES = "client-authorities.pem"
RATES = "rates"
"""The table of request rates."""


def key_files(policy: ProxyPolicy) -> dict[str, str]:
    """Public keys, authorities, IDs of revoked tokens and numbers of callers, by file name."""
    authorities = {CLIENT_AUTHORITIES: policy.client_cas} if policy.client_cas else {}
    return {**authorities, **token_key_files(policy), **caller_maps(policy.callers or ())}


def authenticate(policy: ProxyPolicy, folder: Path) -> list[str]:
    """Rules that reject requests of clients that are not callers; no rules if all clients are admitted."""
    if policy.callers is None:
        return []
    lines = [
        *refuse_at_once(MALFORMED, "if { req.fhdr_cnt(authorization) gt 1 }", str(folder)),
        "http-request set-var(txn.token) http_auth_bearer",
    ]
    if has_tokens(policy):
        lines += identify(folder, address(folder))
        lines += refuse(INVALID_TOKEN, "if { var(txn.token_status) -m str 401 }", str(folder))
        lines += refuse(NOT_VERIFIED, "if { var(txn.token_status) -m str 503 }", str(folder))
    lines += ["http-request set-var(txn.subject) ssl_c_s_dn(,0,rfc2253),hex if { ssl_c_used } { ssl_c_verify 0 }"]
    if any(caller.certificate and caller.certificate.san for caller in policy.callers):
        lines += [
            "http-request set-var(txn.names) ssl_c_der,hex,lua.certificate_names if { ssl_c_used } { ssl_c_verify 0 }"
        ]
    has_credentials = "{ var(txn.token) -m found } or { var(txn.subject) -m found }"
    return [
        *lines,
        *(_admit(caller) for caller in policy.callers),
        *refuse(NO_CREDENTIALS, f"unless {has_credentials}", str(folder)),
        *refuse(NOT_ADMITTED, "unless { var(txn.caller) -m found }", str(folder)),
        *(_claims_of_token() if has_tokens(policy) else []),
        # Other requests that reach an old worker are passed on to the new one.
        "http-request lua.check_withdrawal if { stopping } { ssl_c_used }",
        *refuse(NOT_ADMITTED, "if { var(txn.withdrawn) -m found }", str(folder)),
        *_limit_rates(policy.callers, str(folder)),
    ]


def _claims_of_token() -> list[str]:
    """Variables for `withdrawals.lua`, which may look at them later."""
    present = "{ var(txn.token) -m found }"
    queries = {
        "iss": "jwt_payload_query('$.iss')",
        "kid": "jwt_header_query('$.kid')",
        "jti": "jwt_payload_query('$.jti')",
    }
    return [
        f"http-request set-var(txn.{name}) var(txn.token),{query},hex if {present} {condition}"
        for name, query in queries.items()
        for condition in ("grpc_stream", "{ ssl_c_used }")
    ]


def _admit(caller: Caller) -> str:
    if caller.token:
        condition = f"{{ var(txn.token_caller) -m str {caller.name} }}"
    elif caller.certificate and caller.certificate.subject:
        condition = f"{{ var(txn.subject) -m str {encoded(caller.certificate.subject)} }}"
    else:
        san = caller.certificate.san if caller.certificate else ""
        condition = f"{{ var(txn.names) -m sub :{encoded(san)}: }}"
    return f"http-request set-var(txn.caller) str({caller.name}) if !{{ var(txn.caller) -m found }} {condition}"


def _limit_rates(callers: tuple[Caller, ...], folder: str) -> list[str]:
    limited = [caller for caller in callers if caller.requests_per_second]
    if not limited:
        return []
    return [
        f"acl limited var(txn.caller) -m str {' '.join(caller.name for caller in limited)}",
        f"http-request track-sc0 var(txn.caller) table {RATES} if limited",
        *(
            f"http-request set-var(txn.too_many) str(1) if {{ var(txn.caller) -m str {caller.name} }} "
            f"{above(f'sc_gpc0_rate(0,{RATES})', caller.requests_per_second - 1)}"
            for caller in limited
        ),
        *refuse(RATE_LIMITED, "if { var(txn.too_many) -m found }", folder),
        # Only admitted requests count, so a client that sends too many still gets its rate.
        "http-request sc-inc-gpc0(0) if limited",
    ]
