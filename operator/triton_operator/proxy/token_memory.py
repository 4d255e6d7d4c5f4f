"""Remember verified tokens, because a signature costs more CPU time than everything else that the proxy does.

Output: lines of two frontends, and a table. The table contains the SHA-256 of each admitted token, when the token
expires, and the number of its caller. A changed policy starts a worker with an empty table, so a removed caller, key or
token is not remembered. Only admitted tokens are remembered, so that nobody else can fill the table.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.triton.proxy_contract.policy import Caller

TABLE = "tokens_seen"
_NUMBERS, _NAMES = "caller-numbers.map", "caller-names.map"
_KNOWN = "{ var(txn.left) -m int gt 0 }"
_EXPIRES, _CALLER = 0, 1


def caller_maps(callers: tuple[Caller, ...]) -> dict[str, str]:
    """The maps between names and numbers of callers, because a table contains numbers only; 0 means no caller."""
    numbered = [(number, caller.name) for number, caller in enumerate(callers, start=1)]
    return {
        _NUMBERS: "".join(f"{name} {number}\n" for number, name in numbered),
        _NAMES: "".join(f"{number} {name}\n" for number, name in numbered),
    }


def tokens_table() -> dict[str, list[str]]:
    """The section with the table; a token is verified again after five minutes."""
    return {f"backend {TABLE}": ["stick-table type binary len 32 size 10k expire 5m store gpt(2)"]}


def identify(folder: Path, verifier: str) -> list[str]:
    """Rules that set `txn.token_caller` to the caller of `txn.token`, or `txn.token_status` to 401 or 403.

    `verifier` is the address of the frontend that verifies tokens. The expiry is checked for each request, even if
    the token is remembered.
    """
    remembered = f"var(txn.digest),table_gpt({_CALLER},{TABLE}),map_int({folder / _NAMES})"
    digest = "{ var(txn.digest) -m found }"
    return [
        "http-request set-var(txn.digest) var(txn.token),sha2(256) if { var(txn.token) -m found }",
        f"http-request set-var(txn.expires) var(txn.digest),table_gpt({_EXPIRES},{TABLE}) if {digest}",
        "http-request set-var(txn.left) date,neg,add(txn.expires) if { var(txn.expires) -m found }",
        f"http-request set-var(txn.token_caller) {remembered} if {_KNOWN}",
        f"http-request lua.verify_token {verifier} if {digest} !{_KNOWN}",
    ]


def remember(folder: Path) -> list[str]:
    """Rules of the frontend that verifies tokens, after those that name the caller: remember its token."""
    admitted = "if { var(txn.caller) -m found }"
    return [
        "http-request set-var(txn.digest) var(txn.token),sha2(256)",
        f"http-request set-var(txn.number) var(txn.caller),map_str_int({folder / _NUMBERS}) {admitted}",
        f"http-request track-sc0 var(txn.digest) table {TABLE} {admitted}",
        f"http-request sc-set-gpt({_EXPIRES},0) var(txn.exp) {admitted}",
        f"http-request sc-set-gpt({_CALLER},0) var(txn.number) {admitted}",
    ]
