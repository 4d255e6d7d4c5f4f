"""Admit callers: rules that verify tokens and client certificates, and the limits of each caller.

Input: the callers and issuers of a checked policy. Output: lines of a `frontend`, and files with keys. Text of users is
compared as hexadecimal digits, so it cannot be read as syntax. The first rule that matches names the caller, in the
variable `txn.caller`.

A signature is verified for each request; for an RSA key of 2,048 bits that is about 30 µs of CPU, of 4,096 bits 100 µs.
"""

from __future__ import annotations

from triton_operator.proxy.refusals import (
    INVALID_TOKEN,
    MALFORMED,
    NO_CREDENTIALS,
    NOT_ADMITTED,
    RATE_LIMITED,
    refuse,
    refuse_at_once,
)
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy

CLIENT_AUTHORITIES = "client-authorities.pem"
RATES = "rates"
"""The table of request rates."""

_AUDIENCES = 8
"""Of a token with several audiences, the first ones are compared."""
_CLOCK_SKEW_SECONDS = 60
"""A token may be used this long before its `nbf`, because clocks differ."""
_TOKEN = "var(txn.token)"  # noqa: S105 -- an expression
_VERIFIED = "{ var(txn.issuer) -m found }"


def key_files(policy: ProxyPolicy) -> dict[str, str]:
    """Public keys, authorities and IDs of revoked tokens, by file name."""
    files: dict[str, str] = {CLIENT_AUTHORITIES: policy.client_cas} if policy.client_cas else {}
    for number, issuer in enumerate(policy.issuers):
        files |= {_key_file(number, index): key.pem for index, key in enumerate(issuer.keys)}
        if issuer.revoked:
            files[_revoked_file(number)] = "".join(f"{encoded(token)}\n" for token in issuer.revoked)
    return files


def authenticate(policy: ProxyPolicy, folder: str) -> list[str]:
    """Rules that refuse requests of everybody who is no caller; none if everybody is admitted."""
    if policy.callers is None:
        return []
    claims = _claim_variables(policy.callers)
    lines = [*_read_token(folder), *_verify(policy.issuers, folder), *_read_claims(claims)]
    lines += ["http-request set-var(txn.subject) ssl_c_s_dn(,0,rfc2253),hex if { ssl_c_used } { ssl_c_verify 0 }"]
    if any(caller.certificate and caller.certificate.san for caller in policy.callers):
        lines += [
            "http-request set-var(txn.names) ssl_c_der,hex,lua.certificate_names if { ssl_c_used } { ssl_c_verify 0 }"
        ]
    for number, caller in enumerate(policy.callers):
        lines += _admit(number, caller, policy.issuers, claims)
    has_credentials = "{ var(txn.token) -m found } or { var(txn.subject) -m found }"
    return [
        *lines,
        *refuse(NO_CREDENTIALS, f"unless {has_credentials}", folder),
        *refuse(NOT_ADMITTED, "unless { var(txn.caller) -m found }", folder),
        *_limit_rates(policy.callers, folder),
    ]


def encoded(text: str) -> str:
    """Text as the converter `hex` of HAProxy writes it."""
    return text.encode().hex().upper()


def _read_token(folder: str) -> list[str]:
    present = f"{{ {_TOKEN} -m found }}"
    return [
        *refuse_at_once(MALFORMED, "if { req.fhdr_cnt(authorization) gt 1 }", folder),
        "http-request set-var(txn.token) http_auth_bearer",
        f"http-request set-var(txn.iss) {_TOKEN},jwt_payload_query('$.iss'),hex if {present}",
        f"http-request set-var(txn.kid) {_TOKEN},jwt_header_query('$.kid'),hex if {present}",
        f"http-request set-var(txn.alg) {_TOKEN},jwt_header_query('$.alg') if {present}",
    ]


def _verify(issuers: tuple[Issuer, ...], folder: str) -> list[str]:
    """Rules that set `txn.issuer` to the number of the issuer whose key signed the token, and check its times."""
    lines = []
    for number, issuer in enumerate(issuers):
        for index, key in enumerate(issuer.keys):
            kid = f"{{ var(txn.kid) -m str {encoded(key.kid)} }}" if key.kid else "!{ var(txn.kid) -m found }"
            # The algorithm is that of the key, whatever the token says.
            signed = f'{{ {_TOKEN},jwt_verify("{key.algorithm}","{folder}/{_key_file(number, index)}") 1 }}'
            claimed = (
                f"{{ var(txn.iss) -m str {encoded(issuer.name)} }} {{ var(txn.alg) -m str {key.algorithm} }} {kid}"
            )
            lines.append(f"http-request set-var(txn.issuer) str({number}) if !{_VERIFIED} {claimed} {signed}")
    lines += [
        f"http-request set-var(txn.exp) {_TOKEN},jwt_payload_query('$.exp','int') if {_VERIFIED}",
        f"http-request set-var(txn.nbf) {_TOKEN},jwt_payload_query('$.nbf','int') if {_VERIFIED}",
        "http-request set-var(txn.left) date,neg,add(txn.exp) if { var(txn.exp) -m found }",
        "http-request set-var(txn.early) date,neg,add(txn.nbf) if { var(txn.nbf) -m found }",
        "acl valid_token var(txn.left) -m int gt 0",
        f"acl early_token var(txn.early) -m int gt {_CLOCK_SKEW_SECONDS}",
    ]
    for number, issuer in enumerate(issuers):
        if issuer.revoked:
            jti = f"{_TOKEN},jwt_payload_query('$.jti'),hex"
            lines.append(
                f"http-request set-var(txn.revoked) str(1) if {{ var(txn.issuer) -m str {number} }} "
                f"{{ {jti} -m str -f {folder}/{_revoked_file(number)} }}"
            )
    return [
        *lines,
        *refuse(INVALID_TOKEN, f"if {{ {_TOKEN} -m found }} !{_VERIFIED}", folder),
        *refuse(INVALID_TOKEN, f"if {_VERIFIED} !valid_token or {_VERIFIED} early_token", folder),
        *refuse(INVALID_TOKEN, "if { var(txn.revoked) -m found }", folder),
    ]


def _claim_variables(callers: tuple[Caller, ...]) -> dict[str, str]:
    """A variable for each claim that a caller needs, so that a token is decoded once for each claim."""
    found = sorted({claim.name for caller in callers if caller.token for claim in caller.token.claims})
    return {name: f"txn.claim{number}" for number, name in enumerate(found)}


def _read_claims(variables: dict[str, str]) -> list[str]:
    paths = {"txn.aud": "aud", "txn.aud0": "aud[0]"}
    paths |= {variable: _path(name) for name, variable in variables.items()}
    further = {f"txn.aud{index}": f"aud[{index}]" for index in range(1, _AUDIENCES)}
    return [
        *(_read_claim(variable, path, _VERIFIED) for variable, path in paths.items()),
        *(_read_claim(variable, path, "{ var(txn.aud0) -m found }") for variable, path in further.items()),
    ]


def _read_claim(variable: str, path: str, condition: str) -> str:
    return f"http-request set-var({variable}) {_TOKEN},jwt_payload_query('$.{path}'),hex if {condition}"


def _path(claim: str) -> str:
    """A JSON path as an argument in HAProxy, where a backslash is written twice."""
    return claim.replace("\\", "\\\\")


def _admit(number: int, caller: Caller, issuers: tuple[Issuer, ...], claims: dict[str, str]) -> list[str]:
    if caller.token:
        audiences = " ".join(encoded(audience) for audience in caller.token.audiences)
        variables = ["txn.aud", *(f"txn.aud{index}" for index in range(_AUDIENCES))]
        acls = [f"acl audience_{number} var({variable}) -m str {audiences}" for variable in variables]
        issuer = [each.name for each in issuers].index(caller.token.issuer)
        conditions = [
            f"{{ var(txn.issuer) -m str {issuer} }}",
            f"audience_{number}",
            *(_equals(claims, claim) for claim in caller.token.claims),
        ]
    elif caller.certificate and caller.certificate.subject:
        acls, conditions = [], [f"{{ var(txn.subject) -m str {encoded(caller.certificate.subject)} }}"]
    else:
        san = caller.certificate.san if caller.certificate else ""
        acls, conditions = [], [f"{{ var(txn.names) -m sub :{encoded(san)}: }}"]
    admit = f"http-request set-var(txn.caller) str({caller.name}) if !{{ var(txn.caller) -m found }}"
    return [*acls, " ".join([admit, *conditions])]


def _equals(variables: dict[str, str], claim: Claim) -> str:
    return f"{{ var({variables[claim.name]}) -m str {encoded(claim.value)} }}"


def _limit_rates(callers: tuple[Caller, ...], folder: str) -> list[str]:
    limited = [caller for caller in callers if caller.requests_per_second]
    if not limited:
        return []
    return [
        f"acl limited var(txn.caller) -m str {' '.join(caller.name for caller in limited)}",
        f"http-request track-sc0 var(txn.caller) table {RATES} if limited",
        *(
            f"http-request set-var(txn.too_many) str(1) if {{ var(txn.caller) -m str {caller.name} }} "
            f"{{ sc_gpc0_rate(0,{RATES}) ge {caller.requests_per_second} }}"
            for caller in limited
        ),
        *refuse(RATE_LIMITED, "if { var(txn.too_many) -m found }", folder),
        # Only requests that pass count, so a client that tries too often still gets its rate.
        "http-request sc-inc-gpc0(0) if limited",
    ]


def _key_file(issuer: int, key: int) -> str:
    return f"issuer-{issuer}-key-{key}.pem"


def _revoked_file(issuer: int) -> str:
    return f"issuer-{issuer}-revoked.lst"
