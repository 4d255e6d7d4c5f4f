"""The Python of docs/sdk.md runs unchanged: the test provides a cluster, an operator and a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_api_server import FakeApiServer
from tests.fake_cluster import PLAIN
from tests.fake_kubectl import FakeKubectl
from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.paths import ROOT

DIGITS = "/apis/triton-operator.io/v1alpha1/namespaces/models/modeldeployments/digits"

COUNTER = "/apis/triton-operator.io/v1alpha1/namespaces/models/modeldeployments/counter"


async def operate(server: FakeApiServer) -> None:
    """Report that the applied object serves, as an operator would."""
    await server.watched("modeldeployments")  # By then it is stored, and the client has read it.
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "2 of 2"}
    stored = server.stored(DIGITS)
    assert stored
    status = {"observedGeneration": 1, "conditions": [ready], "endpoints": PLAIN}
    await server.put(DIGITS, stored | {"status": status})


async def test_the_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks run in order, as a reader would paste them."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "sdk.md").read_text(), re.MULTILINE | re.DOTALL)
    backend = Backend({"digits": Model({"INPUT__0": ("FP32", [-1, 1, 28, 28])}, most_rows=4)})
    backend.models["count"] = Model({"x": ("INT32", [-1])})
    kubectl = FakeKubectl.install(tmp_path, monkeypatch)
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    with http_server(backend) as http, grpc_server(backend) as grpc:
        async with FakeApiServer().running() as server:
            monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, server.url)))
            await server.put(COUNTER, {"status": {"observedGeneration": 1, "endpoints": PLAIN}})
            operator = asyncio.create_task(operate(server))
            for block in blocks:
                kubectl.forward(grpc if "Protocol.GRPC" in block else http)
                code = compile(block, "sdk.md", "exec")
                await asyncio.to_thread(exec, code, names)
            operator.cancel()
    output = capsys.readouterr().out
    assert "Serving 2 of 2" in output
    assert "inputs['INPUT__0']: expected FP32 [-1,1,28,28]" in output
    assert output.endswith("[3]\n[3]\n[3]\n[1000]\n")


def write_kubeconfig(folder: Path, url: str) -> Path:
    """A kubeconfig for the API server of the test."""
    file = folder / "kubeconfig"
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(config))
    return file
