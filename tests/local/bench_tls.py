"""Compare encrypted requests with plain ones: requests per second, CPU time, latency and memory.

`make bench-tls` runs it. It takes three minutes and must run alone, so `make bench` excludes it. Triton and the
sidecars share one CPU, and the load generator has another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from tests.benchmarks.h2load import Request
from tests.benchmarks.inferences import over_grpc, over_http, status_of
from tests.benchmarks.processes import memory, on_cpu
from tests.benchmarks.sidecar import sidecar, token_policy
from tests.benchmarks.targets import target_lines
from tests.benchmarks.tls_table import PLAIN, TLS, TOKEN, Case, table, targets
from tests.benchmarks.tokens import sign_token
from tests.benchmarks.windows import Route, Window, measure
from tests.local.session import User
from triton_operator.api.names import API_VERSION, KIND

REPOSITORY = Path(__file__).parents[2] / "model_repository"
ROWS: dict[str, NDArray[Any]] = {
    "digits": np.zeros((1, 1, 28, 28), np.float32),
    "chinese_texts_model": np.zeros((1, 10), np.int64),
}
PROTOCOLS: dict[str, Callable[[Path, str, NDArray[Any]], Request]] = {"HTTP": over_http, "gRPC": over_grpc}
IN_FLIGHT = (1, 32)
DEPLOYMENT = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "bench"},
    "spec": {
        "models": [{"name": name} for name in ROWS],
        "modelRepository": {"image": {"reference": "not used"}},
        # Behind a proxy, Triton does not end connections.
        "privacy": {"tls": {"mode": "Managed"}},
    },
}


@pytest.mark.timeout(1200)  # The first start may download the server.
def bench_tls(user: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sidecar that requires no token, and one that verifies a ServiceAccount's token on each request."""
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(yaml.safe_dump(DEPLOYMENT))
    load_cpu, server_cpu = sorted(os.sched_getaffinity(0))[:2]
    token = sign_token()
    results: dict[Case, dict[str, list[Window]]] = {}
    with (
        on_cpu(server_cpu),
        user.serving(deployment, "--repository", REPOSITORY) as serving,
        sidecar(tmp_path / "tls", serving.http, serving.grpc) as open_sidecar,
        sidecar(tmp_path / "token", serving.http, serving.grpc, token_policy(token.public_key)) as token_sidecar,
        on_cpu(load_cpu),
    ):
        digits = over_http(tmp_path, "digits", ROWS["digits"])
        # Otherwise the last route would not show the cost of a token.
        assert (status_of(open_sidecar.address, digits), status_of(token_sidecar.address, digits)) == (200, 401)
        header = (f"authorization: Bearer {token.token}",)
        routes = {
            PLAIN: Route(f"http://{serving.http}", f"http://{serving.grpc}"),
            TLS: Route(open_sidecar.address, open_sidecar.address, pid=open_sidecar.pid),
            TOKEN: Route(token_sidecar.address, token_sidecar.address, header, token_sidecar.pid),
        }
        for model, row in ROWS.items():
            for protocol, prepare in PROTOCOLS.items():
                for in_flight in IN_FLIGHT:
                    case = Case(model, protocol, in_flight)
                    results[case] = measure(serving, routes, model, prepare(tmp_path, model, row), in_flight, tmp_path)
        used = {name: memory(route.pid) for name, route in routes.items() if route.pid}
    with capsys.disabled():
        print("\n".join([*table(results), "", *target_lines(targets(results, used))]))
