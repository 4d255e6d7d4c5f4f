"""The local node enforces network policies as Kubernetes documents: run the Go tests of hack/netpol on its kernel.

The Go tests contain a table of policies and of connections that each policy admits or blocks. They try every connection
in separate network namespaces. Other tests of network policies depend on this result.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from hack.cluster import tools
from hack.programs.gobuild import HACK, go_environment
from hack.programs.gotoolchain import go_program

NETPOL = HACK / "netpol"


@pytest.mark.timeout(1200)  # On a new machine, compiling takes minutes.
def test_the_kernel_agrees_with_the_truth_table() -> None:
    if os.geteuid() != 0:
        pytest.skip("private networks need root: run it with sudo")
    done = _go_test(tools("ip", "nft"))
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    refused = re.search(r"may not make private networks.*", output)  # Root in an unprivileged container.
    if refused:
        pytest.skip(refused[0])
    assert "--- SKIP" not in output, output
    assert "--- PASS: TestTheKernelAgreesWithTheTruthTable/" in output, output


def _go_test(programs: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **go_environment(),
        "NFT": str(programs / "nft"),
        "PATH": f"{programs}:{os.environ.get('PATH', '')}",
    }
    command = ["nice", "-n", "5", str(go_program(NETPOL / "go.mod")), "test", "-v", "-count=1", "."]
    return subprocess.run(command, cwd=NETPOL, env=environment, capture_output=True, text=True, check=False)
