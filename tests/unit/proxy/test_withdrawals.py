"""An old worker's check of its callers, run in Lua 5.3 with the files that the proxy renders."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from lupa.lua53 import LuaRuntime

from tests.unit.proxy.test_admissions import KEY, POLICY, TRAINER
from triton_operator.proxy import scripts
from triton_operator.proxy.admissions import admission_comments, admission_table
from triton_operator.proxy.token_verifier import encoded
from triton_operator.triton.proxy_contract.policy import Issuer, ProxyPolicy

WITHDRAWALS = Path(scripts.__file__).with_name("withdrawals.lua").read_text(encoding="ascii")
OPEN = ProxyPolicy()
WITHOUT_ROBOT = msgspec.structs.replace(POLICY, callers=(TRAINER,))
WITHOUT_KEY = msgspec.structs.replace(POLICY, issuers=(Issuer("issuer", ()),))
REVOKED = msgspec.structs.replace(POLICY, issuers=(Issuer("issuer", (KEY,), ("id",)),))
TRAINERS = {"txn.caller": "trainer"}
ROBOTS = {"txn.caller": "robot", "txn.iss": encoded("issuer"), "txn.kid": encoded("k"), "txn.jti": encoded("id")}


def is_withdrawn(
    folder: Path, old: ProxyPolicy, new: ProxyPolicy, variables: dict[str, str], stopping: int = 1
) -> bool:
    """What a worker with the policy `old` decides about a transaction when the newest configuration has `new`."""
    newest = folder / "haproxy.cfg"
    newest.write_text("\n".join(["global", *admission_comments(new), ""]))
    lua = LuaRuntime()
    lua.globals().core = lua.eval("{ now = function() return { sec = 1 } end, register_action = function() end }")
    lua.execute(admission_table(old, str(newest)))
    lua.execute(WITHDRAWALS)
    transaction = SimpleNamespace(
        f=SimpleNamespace(stopping=lambda _: stopping), get_var=lambda _, name: variables.get(name)
    )
    decide: Any = lua.globals().is_withdrawn
    return bool(decide(transaction))


@pytest.mark.parametrize("variables", [{}, TRAINERS, ROBOTS], ids=["no caller", "trainer", "robot"])
@pytest.mark.parametrize("old", [OPEN, POLICY], ids=["open before", "callers before"])
def test_nobody_is_withdrawn_by_a_policy_that_admits_all_clients(
    old: ProxyPolicy, variables: dict[str, str], tmp_path: Path
) -> None:
    assert not is_withdrawn(tmp_path, old, OPEN, variables)


@pytest.mark.parametrize("variables", [TRAINERS, ROBOTS], ids=["trainer", "robot"])
def test_a_caller_of_both_policies_is_not_withdrawn(variables: dict[str, str], tmp_path: Path) -> None:
    assert not is_withdrawn(tmp_path, POLICY, POLICY, variables)


@pytest.mark.parametrize("new", [WITHOUT_ROBOT, WITHOUT_KEY, REVOKED], ids=["caller", "key", "token"])
def test_who_or_what_was_removed_is_withdrawn_and_others_are_not(new: ProxyPolicy, tmp_path: Path) -> None:
    assert is_withdrawn(tmp_path, POLICY, new, ROBOTS)
    assert not is_withdrawn(tmp_path, POLICY, new, TRAINERS)


def test_all_clients_are_withdrawn_if_the_new_policy_has_callers(tmp_path: Path) -> None:
    assert is_withdrawn(tmp_path, OPEN, POLICY, {})


def test_a_worker_that_is_not_stopping_withdraws_nobody(tmp_path: Path) -> None:
    assert not is_withdrawn(tmp_path, POLICY, WITHOUT_ROBOT, ROBOTS, stopping=0)
