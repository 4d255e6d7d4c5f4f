"""Run tinyproxy on loopback: a real forward proxy, which connects to servers for its clients and logs each request."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.programs import debian
from triton_operator.triton.prepare_contract.request import FetchProxy

USER, PASSWORD = "reader", "hidden-Pa55word"
_PACKAGE = "tinyproxy-bin"
_START_SECONDS = 30


class ForwardProxy(NamedTuple):
    """A running proxy, which requires USER and PASSWORD."""

    port: int
    log: Path
    secret: Path

    @property
    def url(self) -> str:
        """Its address without credentials."""
        return f"http://127.0.0.1:{self.port}"

    def request(self, *no_proxy: str, credentials: str | None = None) -> FetchProxy:
        """What `prepare` gets; by default, with a Secret that the proxy accepts."""
        return FetchProxy(self.url, no_proxy, str(self.secret) if credentials is None else credentials)

    @property
    def requests(self) -> list[str]:
        """The method and the target of each request that it accepted or rejected."""
        lines = (line for line in self.log.read_text().splitlines() if "Request (file descriptor" in line)
        return [" ".join(line.split("): ", 1)[1].split()[:2]) for line in lines]


def provide_proxy() -> Path:
    """The program; it is downloaded if it is missing."""
    return debian.unpacked(_PACKAGE) / "usr" / "bin" / "tinyproxy"


@contextmanager
def forward_proxy(folder: Path) -> Iterator[ForwardProxy]:
    """Serve until the block ends; `folder` is for its files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    proxy = ForwardProxy(port, folder / "log", write_secret(folder / "secret"))
    config = folder / "tinyproxy.conf"
    config.write_text(
        f'Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Connect\nLogFile "{proxy.log}"\n'
        f"BasicAuth {USER} {PASSWORD}\n"
    )
    process = subprocess.Popen([provide_proxy(), "-d", "-c", config], stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield proxy
    finally:
        process.kill()
        process.wait()


def write_secret(folder: Path, password: str = PASSWORD) -> Path:
    """Write credentials as the kubelet mounts them, and return the folder."""
    folder.mkdir()
    (folder / "username").write_text(USER)
    (folder / "password").write_text(password)
    return folder


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, f"tinyproxy ended with {process.returncode}"
            assert time.monotonic() < deadline, "tinyproxy does not listen"
        else:
            return
