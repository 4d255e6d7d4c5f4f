"""How to reach the API server and who we are: from the pod's service account, or from a kubeconfig.

`connect` returns a Connection; the API client, Kopf's login handler and the CLI open their HTTP sessions with it.
Nothing is asked of the cluster here. Kubeconfigs may carry client certificates or bearer tokens; plug-ins that run
programs are refused with a sentence saying so.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp.client_middlewares import ClientHandlerType

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet projects token, ca.crt and namespace into a pod."""

TOKEN_TTL = 60.0
"""Seconds a token file is trusted before it is read again; the kubelet rotates it at 80 % of its life."""


class NoConnection(Exception):
    """The configuration for reaching a cluster is missing or of a sort that is not understood."""


class TokenFile:
    """A bearer token in a file that somebody renews; read at most once in TOKEN_TTL seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = -TOKEN_TTL
        self._token = ""

    def read(self) -> str:
        """The token as of a minute ago at most."""
        if self._clock() >= self._read_at + TOKEN_TTL:
            self._token = self._path.read_text().strip()
            self._read_at = self._clock()
        return self._token

    def expire(self) -> None:
        """Forget the token, so that the next `read` looks into the file."""
        self._read_at = -TOKEN_TTL


class FixedToken:
    """A bearer token that is what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def read(self) -> str:
        """The token."""
        return self._token

    def expire(self) -> None:
        """Nothing to forget: there is no other place to look."""


class Connection:
    """Address of an API server, what it must show us (`tls`) and what we show it (`token`, or a key in `tls`)."""

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        token: TokenFile | FixedToken | None = None,
        namespace: str = "default",
    ) -> None:
        self.server = server.rstrip("/")
        self.namespace = namespace
        self._tls = tls
        self._token = token

    def session(self, *, limit: int) -> aiohttp.ClientSession:
        """A new HTTP session with at most `limit` connections (0: as many as wanted); the caller closes it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=self._tls if self._tls is not None else True),
            middlewares=(self._authorize,) if self._token else (),
            headers={"User-Agent": "triton-operator"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _authorize(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Send the token along; on a 401 look for a renewed one and try that once."""
        assert self._token is not None  # noqa: S101 - `session` installs this only with a token
        sent = self._token.read()
        request.headers["Authorization"] = f"Bearer {sent}"
        response = await handler(request)
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._token.expire()
            if (renewed := self._token.read()) != sent:
                response.release()
                request.headers["Authorization"] = f"Bearer {renewed}"
                response = await handler(request)
        return response


def connect(kubeconfig: Path | None = None) -> Connection:
    """The connection of `kubeconfig`, else the pod's own, else that of $KUBECONFIG or ~/.kube/config."""
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)
    if "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists():
        return in_cluster()
    return from_kubeconfig(Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config"))


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The connection of the pod that we run in."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Connection(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=ssl.create_default_context(cafile=str(folder / "ca.crt")),
        token=TokenFile(folder / "token"),
        namespace=(folder / "namespace").read_text().strip(),
    )


def from_kubeconfig(path: Path) -> Connection:
    """The connection of a kubeconfig's current context; raises NoConnection with the field at fault."""
    import yaml  # only outside a cluster: the operator's pod never pays for it

    try:
        config = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise NoConnection(f"{path} does not exist; name a kubeconfig with --kubeconfig or KUBECONFIG") from None
    context = _entry(path, config, "contexts", config.get("current-context"))["context"]
    cluster = _entry(path, config, "clusters", context.get("cluster"))["cluster"]
    user = _entry(path, config, "users", context.get("user"))["user"] or {}
    return Connection(
        cluster["server"],
        tls=_tls(path, cluster, user) if cluster["server"].startswith("https:") else None,
        token=_token(path, user),
        namespace=context.get("namespace") or "default",
    )


def _entry(path: Path, config: dict[str, Any], section: str, name: str | None) -> dict[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise NoConnection(f"{path}: {section} has no entry named {name!r}")


def _tls(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    with contextlib.ExitStack() as files:
        authority = files.enter_context(_as_file(path, cluster, "certificate-authority"))
        context = ssl.create_default_context(cafile=authority)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        certificate = files.enter_context(_as_file(path, user, "client-certificate"))
        if certificate is not None:
            context.load_cert_chain(certificate, files.enter_context(_as_file(path, user, "client-key")))
    return context


@contextlib.contextmanager
def _as_file(path: Path, section: dict[str, Any], field: str) -> Iterator[str | None]:
    """A file with what `field` or `field`-data holds: OpenSSL loads keys from files only."""
    if data := section.get(f"{field}-data"):
        with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone after loading
            file.write(base64.b64decode(data))
            file.flush()
            yield file.name
    else:
        name = section.get(field)
        yield str(path.parent / name) if name else None


def _token(path: Path, user: dict[str, Any]) -> TokenFile | FixedToken | None:
    if "exec" in user or "auth-provider" in user:
        raise NoConnection(
            f"{path}: users that get credentials from a program (exec, auth-provider) are not "
            "supported; use a client certificate or a token"
        )
    if name := user.get("tokenFile"):
        return TokenFile(path.parent / name)
    return FixedToken(user["token"]) if user.get("token") else None
