"""The connection of a kubeconfig, with client certificates or bearer tokens; exec plugins are not supported.

`connect.connect` calls this outside a cluster. Several files are merged as kubectl does: the first
entry of a name counts, and the first current context; relative paths are relative to the file that has them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from triton_operator.cluster.connection import ApiServerConnection, NoConnectionError, TokenFile
from triton_operator.cluster.renewed_tls import RenewedContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _KubeconfigEntry(NamedTuple):
    """One entry, and the file that has it."""

    path: Path
    content: dict[str, Any]


def from_user() -> ApiServerConnection:
    """The connection of $KUBECONFIG, which may name several files, else of ~/.kube/config."""
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return from_kubeconfig(*(named or [Path.home() / ".kube" / "config"]))


def from_kubeconfig(*paths: Path) -> ApiServerConnection:
    """The connection of the current context; raises NoConnectionError with the file and the invalid field."""
    files = [_read(path) for path in paths if path.exists()]
    if not files:
        names = ", ".join(map(str, paths))
        raise NoConnectionError(f"{names} does not exist; set --kubeconfig or KUBECONFIG")
    current = next((name for file in files if (name := file.content.get("current-context"))), None)
    context = _entry(files, "contexts", "context", current)
    cluster = _entry(files, "clusters", "cluster", context.content.get("cluster"))
    user = _entry(files, "users", "user", context.content.get("user"))
    server = cluster.content.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise NoConnectionError(f"{cluster.path}: the cluster's server must be an http(s) address, not {server!r}")
    return ApiServerConnection(
        server,
        tls=_tls(cluster, user) if server.startswith("https:") else None,
        token=_token(user),
        namespace=context.content.get("namespace") or "default",
    )


def _read(path: Path) -> _KubeconfigEntry:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NoConnectionError(f"{path} cannot be read as a kubeconfig: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise NoConnectionError(f"{path} is not a kubeconfig: it has no fields")
    return _KubeconfigEntry(path, content)


def _entry(files: Sequence[_KubeconfigEntry], section: str, field: str, name: object) -> _KubeconfigEntry:
    """`field` of the first entry of that name; it may be empty for a user without credentials."""
    for path, content in files:
        for entry in content.get(section) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(field) or {}
                if not isinstance(found, dict):
                    raise NoConnectionError(f"{path}: {field} of {name!r} in {section} has no fields")
                return _KubeconfigEntry(path, found)
    names = ", ".join(str(path) for path, _ in files)
    raise NoConnectionError(f"{names}: {section} has no entry named {name!r}")


def _tls(cluster: _KubeconfigEntry, user: _KubeconfigEntry) -> ssl.SSLContext:
    """A context that is loaded again when a referenced file changes; inline data does not change."""
    named = [(cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")]
    files = [section.path.parent / section.content[field] for section, field in named if section.content.get(field)]
    return RenewedContext(lambda: _load(cluster, user), *files)


def _load(cluster: _KubeconfigEntry, user: _KubeconfigEntry) -> ssl.SSLContext:
    with contextlib.ExitStack() as files:
        try:
            authority = files.enter_context(_as_file(cluster, "certificate-authority"))
            context = ssl.create_default_context(cafile=authority)
            if cluster.content.get("insecure-skip-tls-verify"):
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            certificate = files.enter_context(_as_file(user, "client-certificate"))
            if certificate is not None:
                context.load_cert_chain(certificate, files.enter_context(_as_file(user, "client-key")))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError, broken base64 a ValueError
            raise NoConnectionError(
                f"{cluster.path}, {user.path}: a certificate or key cannot be loaded: {error}"
            ) from None
    return context


@contextlib.contextmanager
def _as_file(section: _KubeconfigEntry, field: str) -> Iterator[str | None]:
    """A file with the content of `field` or `field`-data, because OpenSSL loads keys only from files."""
    if data := section.content.get(f"{field}-data"):
        with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone after loading
            file.write(base64.b64decode(data))
            file.flush()
            yield file.name
    else:
        name = section.content.get(field)
        yield str(section.path.parent / name) if name else None


def _token(user: _KubeconfigEntry) -> TokenFile | str:
    if "exec" in user.content or "auth-provider" in user.content:
        raise NoConnectionError(
            f"{user.path}: users with exec or auth-provider credentials are not "
            "supported; use a client certificate or a token"
        )
    if name := user.content.get("tokenFile"):
        return TokenFile(user.path.parent / name)
    token: str = user.content.get("token") or ""
    return token
