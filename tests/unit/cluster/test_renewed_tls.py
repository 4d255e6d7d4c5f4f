"""Certificates that are renewed while the operator runs."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from hack.cluster.pki import CertificateSubject, ClusterAuthority
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connect import in_cluster
from triton_operator.cluster.errors import UnavailableError


async def _serve(authority: ClusterAuthority) -> web.AppRunner:
    """An API server with a certificate of this authority."""
    authority.issue("server", CertificateSubject("server", addresses=["127.0.0.1"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.folder / "server.crt", authority.folder / "server.key")
    app = web.Application()
    app.router.add_get("/version", _answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner


async def _answer(_: web.Request) -> web.Response:
    return web.json_response({})


async def test_an_authority_that_is_replaced_counts_for_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For requests and for watches, without a restart; a broken file changes nothing."""
    folders = [tmp_path / name for name in ("old", "new", "account")]
    for folder in folders:
        folder.mkdir()
    old, new = ClusterAuthority(folders[0]), ClusterAuthority(folders[1])
    account = folders[2]
    (account / "token").write_text("secret")
    (account / "namespace").write_text("operators")
    (account / "ca.crt").write_bytes(old.certificate.read_bytes())
    runner = await _serve(new)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(runner.addresses[0][1]))
    async with ApiClient(in_cluster(account)) as client:
        with pytest.raises(UnavailableError, match="certificate"):
            await client.request("GET", "/version", kind="Version")
        _replace(account / "ca.crt", b"half of a file")
        with pytest.raises(UnavailableError, match="certificate"):
            await client.request("GET", "/version", kind="Version")
        _replace(account / "ca.crt", new.certificate.read_bytes())
        assert await client.request("GET", "/version", kind="Version") == b"{}"
        async with client.stream("/version", kind="Version", query={}, silence=10) as chunks:
            assert [chunk async for chunk in chunks] == [b"{}"]
    await runner.cleanup()


def _replace(file: Path, content: bytes) -> None:
    """Replace the file atomically, as the kubelet does."""
    written = file.with_suffix(".new")
    written.write_bytes(content)
    written.rename(file)
