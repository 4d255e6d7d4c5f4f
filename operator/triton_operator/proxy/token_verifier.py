"""Verify tokens: a frontend that admits or refuses a token, on a thread of its own.

Input: the callers and issuers of a checked policy. Output: the section of the frontend, and files with keys. The script
`verify_token.lua` sends it each token that is not remembered, and it answers with the caller. Text of users is compared
as hexadecimal digits, so it cannot be read as syntax.

HAProxy before 2.6.19 leaves an error in OpenSSL's queue when an RSA signature is wrong, and closes the next connection
with TLS on the same thread (haproxy/haproxy#2643). A forged token would end requests of other callers. This thread has
no connections with TLS.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.proxy.token_memory import remember
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy

SOCKET = "tokens.sock"
"""The address of the frontend: a socket that only the proxy's user can open.

All configurations have the same: a worker that is ending has closed its listeners, so its last requests ask the next
worker. The answer is therefore the name of a caller, whose number may differ.
"""

_AUDIENCES = 8
"""Of a token with several audiences, the first ones are compared."""
_CLOCK_SKEW_SECONDS = 60
"""A token may be used this long before its `nbf`, because clocks differ."""
_LONGEST_LIFE_SECONDS = 1 << 45
"""HAProxy reads a negative `exp` as a time in the far future."""
_TOKEN = "var(txn.token)"  # noqa: S105 -- an expression
_VERIFIED = "{ var(txn.issuer) -m found }"
_ADMITTED = "http-request return status 200 hdr caller %[var(txn.caller)] hdr expires %[var(txn.exp)]"
_INVALID = "http-request return status 401 if"


def has_tokens(policy: ProxyPolicy) -> bool:
    """Whether a caller has a token, so that the frontend and its thread are needed."""
    return any(caller.token for caller in policy.callers or ())


def token_key_files(policy: ProxyPolicy) -> dict[str, str]:
    """Public keys and IDs of revoked tokens, by file name."""
    files: dict[str, str] = {}
    for number, issuer in enumerate(policy.issuers):
        files |= {_key_file(number, index): key.pem for index, key in enumerate(issuer.keys)}
        if issuer.revoked:
            files[_revoked_file(number)] = "".join(f"{encoded(token)}\n" for token in issuer.revoked)
    return files


def verifier(policy: ProxyPolicy, folder: Path, thread: int) -> dict[str, list[str]]:
    """The section. It responds 200 with caller and expiry, 401 to an invalid token, and 403 if no caller matches."""
    if not has_tokens(policy):
        return {}
    callers = policy.callers or ()
    claims = _claim_variables(callers)
    return {
        "frontend tokens": [
            f"bind {address(folder)} mode 600 thread {thread}",
            "no log",
            *_read_token(),
            *_verify(policy.issuers, str(folder)),
            *_read_claims(claims),
            *(line for number, each in enumerate(callers) for line in _admit(number, each, policy.issuers, claims)),
            *remember(folder),
            f"{_ADMITTED} if {{ var(txn.caller) -m found }}",
            "http-request return status 403",
        ]
    }


def address(folder: Path) -> str:
    """Where the frontend listens; `folder` is that of a configuration."""
    return f"unix@{folder.parent / SOCKET}"


def encoded(text: str) -> str:
    """Text as the converter `hex` of HAProxy writes it."""
    return text.encode().hex().upper()


def _read_token() -> list[str]:
    return [
        "http-request set-var(txn.token) http_auth_bearer",
        f"http-request set-var(txn.iss) {_TOKEN},jwt_payload_query('$.iss'),hex",
        f"http-request set-var(txn.kid) {_TOKEN},jwt_header_query('$.kid'),hex",
        f"http-request set-var(txn.alg) {_TOKEN},jwt_header_query('$.alg')",
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
        f"{_INVALID} !{_VERIFIED}",
        # An extension that the issuer calls critical must be understood (RFC 7515, 4.1.11); the proxy understands none.
        f"{_INVALID} {{ {_TOKEN},jwt_header_query('$.crit[0]') -m found }}",
        f"http-request set-var(txn.exp) {_TOKEN},jwt_payload_query('$.exp','int')",
        f"http-request set-var(txn.nbf) {_TOKEN},jwt_payload_query('$.nbf','int')",
        "http-request set-var(txn.left) date,neg,add(txn.exp) if { var(txn.exp) -m found }",
        "http-request set-var(txn.early) date,neg,add(txn.nbf) if { var(txn.nbf) -m found }",
        f"{_INVALID} !{{ var(txn.left) -m int 1:{_LONGEST_LIFE_SECONDS} }}",
        f"{_INVALID} {{ var(txn.early) -m int gt {_CLOCK_SKEW_SECONDS} }}",
    ]
    for number, issuer in enumerate(issuers):
        if issuer.revoked:
            jti = f"{_TOKEN},jwt_payload_query('$.jti'),hex"
            revoked = f"{{ {jti} -m str -f {folder}/{_revoked_file(number)} }}"
            lines.append(f"{_INVALID} {{ var(txn.issuer) -m str {number} }} {revoked}")
    return lines


def _claim_variables(callers: tuple[Caller, ...]) -> dict[str, str]:
    """A variable for each claim that a caller needs, so that a token is decoded once for each claim."""
    found = sorted({claim.name for caller in callers if caller.token for claim in caller.token.claims})
    return {name: f"txn.claim{number}" for number, name in enumerate(found)}


def _read_claims(variables: dict[str, str]) -> list[str]:
    paths = {"txn.aud": "aud", "txn.aud0": "aud[0]"}
    paths |= {variable: _path(name) for name, variable in variables.items()}
    further = {f"txn.aud{index}": f"aud[{index}]" for index in range(1, _AUDIENCES)}
    return [
        *(_read_claim(variable, path, "") for variable, path in paths.items()),
        *(_read_claim(variable, path, " if { var(txn.aud0) -m found }") for variable, path in further.items()),
    ]


def _read_claim(variable: str, path: str, condition: str) -> str:
    return f"http-request set-var({variable}) {_TOKEN},jwt_payload_query('$.{path}'),hex{condition}"


def _path(claim: str) -> str:
    """A JSON path as an argument in HAProxy, where a backslash is written twice."""
    return claim.replace("\\", "\\\\")


def _admit(number: int, caller: Caller, issuers: tuple[Issuer, ...], claims: dict[str, str]) -> list[str]:
    if caller.token is None:
        return []
    audiences = " ".join(encoded(audience) for audience in caller.token.audiences)
    variables = ["txn.aud", *(f"txn.aud{index}" for index in range(_AUDIENCES))]
    acls = [f"acl audience_{number} var({variable}) -m str {audiences}" for variable in variables]
    issuer = [each.name for each in issuers].index(caller.token.issuer)
    conditions = [
        f"if !{{ var(txn.caller) -m found }} {{ var(txn.issuer) -m str {issuer} }}",
        f"audience_{number}",
        *(_equals(claims, claim) for claim in caller.token.claims),
    ]
    return [*acls, " ".join([f"http-request set-var(txn.caller) str({caller.name})", *conditions])]


def _equals(variables: dict[str, str], claim: Claim) -> str:
    return f"{{ var({variables[claim.name]}) -m str {encoded(claim.value)} }}"


def _key_file(issuer: int, key: int) -> str:
    return f"issuer-{issuer}-key-{key}.pem"


def _revoked_file(issuer: int) -> str:
    return f"issuer-{issuer}-revoked.lst"
