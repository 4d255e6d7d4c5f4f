"""A real Triton on loopback, an authority, and a proxy with an open policy in front of Triton."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cache import cache_dir
from tests.builders import a_deployment
from tests.paths import ROOT
from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.recorded import Recorded
from tests.proxy.recording_backend import recording_backend
from tests.proxy.running_proxy import Proxy, free_ports, running_proxy
from triton_operator.cli.terminal.progress import step
from triton_operator.local.command import ServerContext, server_command, server_variables
from triton_operator.local.environment import ensure_environment, link_backends, plan_environment
from triton_operator.local.folders import run_folder
from triton_operator.local.models import adapt, stage_models
from triton_operator.local.ports import Ports
from triton_operator.local.server import running_server
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

MODELS = ("digits", "linear_regression")


@pytest.fixture(scope="session")
def triton_output() -> list[str]:
    """The lines that the server writes."""
    return []


@pytest.fixture(scope="session")
def triton(triton_output: list[str]) -> Iterator[Ports]:
    """A server with two models, started with the operator's flags."""
    deployment, _ = adapt(
        a_deployment(modelRepository={"image": {"reference": "m"}}, models=[{"name": name} for name in MODELS])
    )
    cache = cache_dir() / "local"
    ports = free_ports()
    with run_folder(cache) as folder:
        staged = stage_models(deployment, ROOT / "model_repository", folder, cache)
        context = ServerContext(ensure_environment(plan_environment(cache), step), folder, ports)
        link_backends(context.environment, folder / "backends")
        command = server_command(deployment.spec, context, staged)
        variables = server_variables(deployment.spec, context, os.environ)
        with running_server(command, variables, ports, triton_output.append) as server:
            server.wait_ready(120)
            server.forward_log()
            yield ports


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority of serving certificates."""
    return Authority()


@pytest.fixture(scope="module")
def proxy(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that admits all clients."""
    folder: Path = tmp_path_factory.mktemp("proxy")
    with running_proxy(folder / "pod", triton, ProxyPolicy(), authority.issue()) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def client(proxy: Proxy, authority: Authority) -> Client:
    """A client of that proxy."""
    return Client(proxy.https, authority.pem)


@pytest.fixture(scope="module")
def recorded(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A proxy that admits all clients, in front of a recording backend."""
    folder = tmp_path_factory.mktemp("recorded")
    with (
        recording_backend() as (ports, record),
        running_proxy(folder / "pod", ports, ProxyPolicy(), authority.issue()) as proxy,
    ):
        yield Recorded(Client(proxy.https, authority.pem), record)
