"""What a policy admits, as hashes that an old worker of HAProxy compares with those of the newest policy.

Input: a ProxyPolicy. Output: comments of its configuration, and the table that `withdrawals.lua` reads. After a reload,
the old worker continues streams, and serves one more request of each connection with a client certificate. For these,
it looks up in the newest configuration whether the caller, the key and the token are still admitted. A removal is
therefore effective within seconds, and the streams of everybody else continue.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from triton_operator.proxy.token_verifier import encoded
from triton_operator.triton.proxy_contract.policy import Caller, Issuer, ProxyPolicy, PublicKey

ADMISSIONS = "admissions.lua"
_ALL_CLIENTS = "all clients"


def admission_comments(policy: ProxyPolicy) -> list[str]:
    """Comments of the configuration: callers, keys and revoked tokens."""
    if policy.callers is None:
        return [f"# admits {_ALL_CLIENTS}"]
    return [
        *(f"# admits {_caller(caller, policy)}" for caller in policy.callers),
        *(f"# key {_key(issuer, key)}" for issuer in policy.issuers for key in issuer.keys),
        *(f"# revokes {encoded(each.name)}:{encoded(token)}" for each in policy.issuers for token in each.revoked),
    ]


def admission_table(policy: ProxyPolicy, newest: str) -> str:
    """A program in Lua that defines the hashes of this policy; `newest` is the path of the newest configuration."""
    keys: dict[str, list[str]] = {}
    for issuer in policy.issuers:
        for key in issuer.keys:
            keys.setdefault(f"{encoded(issuer.name)}:{encoded(key.kid)}", []).append(_key(issuer, key))
    return "\n".join(
        [
            "admissions = {",
            f"  newest = {json.dumps(newest)},",
            f"  all_clients = {json.dumps(_ALL_CLIENTS)},",
            *_table("callers", {each.name: json.dumps(_caller(each, policy)) for each in policy.callers or ()}),
            *_table("keys", {name: f"{{{', '.join(map(json.dumps, each))}}}" for name, each in keys.items()}),
            "}",
            "",
        ]
    )


def _table(name: str, entries: dict[str, str]) -> list[str]:
    return [f"  {name} = {{", *(f"    [{json.dumps(key)}] = {value}," for key, value in entries.items()), "  },"]


def _caller(caller: Caller, policy: ProxyPolicy) -> str:
    authorities = policy.client_cas if caller.certificate else ""
    rule = [caller.name, caller.token, caller.certificate, caller.models, authorities]
    return _hash(msgspec.json.encode(rule, order="sorted").decode())


def _key(issuer: Issuer, key: PublicKey) -> str:
    return _hash(f"{issuer.name}\n{key.kid}\n{key.algorithm}\n{key.pem}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
