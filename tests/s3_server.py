"""Run versitygw on loopback: a real S3 server for a folder, with one bucket and one user who has all permissions."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import obstore
from obstore.store import S3Store

from hack.programs.catalogue import tools
from triton_operator.api.repository import S3Source
from triton_operator.triton.prepare_contract.request import Download

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

ACCESS_KEY, SECRET_KEY = "reader-of-tests", "a secret for nobody"
BUCKET = "models"
_START_SECONDS = 30
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"


class S3(NamedTuple):
    """A running server; the process `pid` ends with the block that started it."""

    endpoint: str
    folder: Path
    pid: int

    def put(self, key: str, content: bytes | Path) -> None:
        """Store an object."""
        obstore.put(self._store(), key, content)

    def delete(self, key: str) -> None:
        """Remove an object."""
        obstore.delete(self._store(), key)

    def signed(self, key: str) -> str:
        """A presigned URL of an object, valid for an hour."""
        return str(obstore.sign(self._store(), "GET", key, timedelta(hours=1)))

    def secret(self, folder: Path, access: str = ACCESS_KEY, secret: str = SECRET_KEY) -> str:
        """Write credentials as the kubelet mounts them, and return the folder."""
        folder.mkdir(exist_ok=True)
        (folder / "accessKeyId").write_text(access)
        (folder / "secretAccessKey").write_text(secret)
        return str(folder)

    def download(self, target: Path, *folders: str, prefix: str = "", credentials: str = "") -> Download:
        """The download that `prepare` gets."""
        target.mkdir(exist_ok=True)
        source = S3Source(BUCKET, prefix, self.endpoint)
        return Download(str(target), s3=source, folders=folders, credentials=credentials)

    def _store(self) -> S3Store:
        config: S3Config = {
            "endpoint": self.endpoint,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": "us-east-1",
        }
        # Not under test here; other tests verify the certificate.
        client: ClientConfig = {"allow_http": True, "allow_invalid_certificates": True, "timeout": timedelta(minutes=5)}
        return S3Store(BUCKET, config=config, client_options=client)


@contextmanager
def s3_server(
    folder: Path,
    certificate: Path | None = None,
    port: int = 0,
    address: str = "127.0.0.1",
    inside: tuple[str, ...] = (),
) -> Iterator[S3]:
    """Serve `folder` until the block ends, on a free port if `port` is 0; `certificate` is a .crt next to its .key.

    `inside` is a command prefix, for a server that runs in another network at `address`.
    """
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    port = port or _free_port()
    tls = ["--cert", str(certificate), "--key", str(certificate.with_suffix(".key"))] if certificate else []
    program = str(tools("versitygw") / "versitygw")
    arguments = [program, "--port", f"{address}:{port}", "--quiet", *tls, "posix", str(folder)]
    environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen([*inside, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for([*inside, sys.executable, "-c", _CONNECT, address, str(port)], process, log)
        yield S3(f"{'https' if certificate else 'http'}://{address}:{port}", folder, process.pid)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait_for(connect: list[str], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while subprocess.run(connect, capture_output=True, check=False).returncode:
        assert process.poll() is None, f"versitygw: {log.read_text()}"
        assert time.monotonic() < deadline, f"versitygw does not listen: {log.read_text()}"
