"""How soon a change of the callers is in force: from the mounted policy to the first admitted or refused request.

The proxy reads the policy twice a second. In a cluster, the operator and the kubelet need time to update the volume;
the tests on a node print the sum.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.benchmarks.costs import Costs
from tests.benchmarks.targets import at_most, target_lines
from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.running_proxy import running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy, TokenRule

ROUNDS = 15
ADMITTED_SECONDS, REFUSED_SECONDS = 2, 5
"""The targets, for the slowest of the rounds."""
SIGNER = Signer()


@pytest.mark.timeout(600)
def bench_changed_callers(
    triton: Ports, authority: Authority, tmp_path: Path, costs: Costs, capsys: pytest.CaptureFixture[str]
) -> None:
    """Add a caller and remove it again, with the same token, which the proxy remembers while it is admitted."""
    without, with_caller = policy("resident"), policy("resident", "guest")
    admitted, refused = [], []
    with running_proxy(tmp_path / "pod", triton, without, authority.issue()) as proxy:
        guest = Client(proxy.https, authority.pem, token=SIGNER.token(sub="guest", exp=int(time.time()) + 3600))

        def seconds_until(changed: ProxyPolicy, status: int) -> float:
            proxy.set_policy(changed)
            begin = time.monotonic()
            wait_until(lambda: guest.infer().status == status)
            return time.monotonic() - begin

        assert guest.infer().status == 403
        for _ in range(ROUNDS):
            admitted.append(seconds_until(with_caller, 200))
            refused.append(seconds_until(without, 403))
    costs.add("time until an added caller is admitted", statistics.median(admitted) * 1000, "ms")
    costs.add("time until a removed caller is refused", statistics.median(refused) * 1000, "ms")
    found = [
        at_most("slowest time until an added caller is admitted", max(admitted), ADMITTED_SECONDS, "s"),
        at_most("slowest time until a removed caller is refused", max(refused), REFUSED_SECONDS, "s"),
    ]
    with capsys.disabled():
        print("\n".join(["", *target_lines(found)]))


def policy(*names: str) -> ProxyPolicy:
    """Callers with these subjects."""
    rules = {name: TokenRule("issuer", (AUDIENCE,), (Claim("sub", name),)) for name in names}
    callers = tuple(Caller(name, token=rule) for name, rule in rules.items())
    return ProxyPolicy(callers=callers, issuers=(Issuer("issuer", (SIGNER.public(),)),))
