"""The connection that a kubeconfig describes: clients' certificates and bearer tokens, no programs that make them.

`connect.connect` calls this outside a cluster. Several files are read as one as kubectl does: of
entries with the same name, and of the current context, the first counts; relative paths start at the file that has
them.
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

from triton_operator.cluster.connection import Connection, FixedToken, NoConnectionError, TokenFile
from triton_operator.cluster.renewed_tls import RenewedContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _Section(NamedTuple):
    """What one entry says, and where it stands."""

    path: Path
    content: dict[str, Any]


def from_user() -> Connection:
    """The connection of $KUBECONFIG, which may name several files, else of ~/.kube/config."""
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return from_kubeconfig(*(named or [Path.home() / ".kube" / "config"]))


def from_kubeconfig(*paths: Path) -> Connection:
    """The connection of the current context; raises NoConnectionError with the file and the field at fault."""
    files = [_read(path) for path in paths if path.exists()]
    if not files:
        names = ", ".join(map(str, paths))
        raise NoConnectionError(f"{names} does not exist; name a kubeconfig with --kubeconfig or KUBECONFIG")
    current = next((name for file in files if (name := file.content.get("current-context"))), None)
    context = _entry(files, "contexts", "context", current)
    cluster = _entry(files, "clusters", "cluster", context.content.get("cluster"))
    user = _entry(files, "users", "user", context.content.get("user"))
    server = cluster.content.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise NoConnectionError(f"{cluster.path}: the cluster's server must be an http(s) address, not {server!r}")
    return Connection(
        server,
        tls=_tls(cluster, user) if server.startswith("https:") else None,
        token=_token(user),
        namespace=context.content.get("namespace") or "default",
    )


def _read(path: Path) -> _Section:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NoConnectionError(f"{path} cannot be read as a kubeconfig: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise NoConnectionError(f"{path} is no kubeconfig: it has no fields")
    return _Section(path, content)


def _entry(files: Sequence[_Section], section: str, field: str, name: object) -> _Section:
    """`field` of the first entry of that name; empty in a user means that nothing is shown."""
    for path, content in files:
        for entry in content.get(section) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(field) or {}
                if not isinstance(found, dict):
                    raise NoConnectionError(f"{path}: {field} of {name!r} in {section} has no fields")
                return _Section(path, found)
    names = ", ".join(str(path) for path, _ in files)
    raise NoConnectionError(f"{names}: {section} has no entry named {name!r}")


def _tls(cluster: _Section, user: _Section) -> ssl.SSLContext:
    """Loaded again whenever a file that is named has changed; what stands in the kubeconfig itself stays."""
    named = [(cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")]
    files = [section.path.parent / section.content[field] for section, field in named if section.content.get(field)]
    return RenewedContext(lambda: _load(cluster, user), *files)


def _load(cluster: _Section, user: _Section) -> ssl.SSLContext:
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
def _as_file(section: _Section, field: str) -> Iterator[str | None]:
    """A file with what `field` or `field`-data holds: OpenSSL loads keys from files only."""
    if data := section.content.get(f"{field}-data"):
        with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone after loading
            file.write(base64.b64decode(data))
            file.flush()
            yield file.name
    else:
        name = section.content.get(field)
        yield str(section.path.parent / name) if name else None


def _token(user: _Section) -> TokenFile | FixedToken | None:
    if "exec" in user.content or "auth-provider" in user.content:
        raise NoConnectionError(
            f"{user.path}: users that get credentials from a program (exec, auth-provider) are not "
            "supported; use a client certificate or a token"
        )
    if name := user.content.get("tokenFile"):
        return TokenFile(user.path.parent / name)
    return FixedToken(user.content["token"]) if user.content.get("token") else None
