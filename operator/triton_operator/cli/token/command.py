"""`tritonctl token`: issue tokens for the callers of a deployment, list them, and revoke them.

Input: a deployment and a caller. Output: a token, or what to change in `spec.privacy.clients`. The private key stays in
a file of the user; the cluster gets the public key only. The command changes nothing in the cluster.
"""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from triton_operator.cli.failures import UsageError
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kube_context
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data, say, table, to_yaml
from triton_operator.cli.token.key_folder import KeyFolder, default_folder, write_private
from triton_operator.cli.token.signing import CallerIdentity, issue, public_key

EPILOG = """\b
Examples:
  tritonctl token create digits --client shop --days 90 --output-file token
  tritonctl token list digits
  tritonctl token revoke digits --client shop --id 4f0c6a2e9d1b7c35
\b
`create` prints the token to standard output. To standard error, it prints what to add to the spec. The private key
is stored in ~/.config/triton-operator/tokens, readable only by you. `revoke` prints the new value of the field
`revoked` for the spec.
"""
_DAY = 86_400
_CLIENT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class TokenAction(StrEnum):
    """What to do."""

    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


def token(
    action: Annotated[TokenAction, typer.Argument(metavar="create|list|revoke", help="What to do.")],
    name: Name,
    namespace: Namespace = "",
    client: Annotated[
        str, typer.Option("--client", metavar="CLIENT", help="Name of the caller in spec.privacy.clients.")
    ] = "",
    days: Annotated[
        float, typer.Option("--days", metavar="DAYS", min=0.001, max=3650, help="How long the token is valid.")
    ] = 30,
    token_id: Annotated[str, typer.Option("--id", metavar="ID", help="ID of the token to revoke.")] = "",
    output_file: Annotated[
        Path | None, typer.Option("--output-file", metavar="FILE", help="Write the token to this file, mode 0600.")
    ] = None,
    key_folder: Annotated[
        Path | None, typer.Option("--key-folder", metavar="DIR", help="Folder with the private keys.")
    ] = None,
    output: Output = OutputFormat.TABLE,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Issue, list and revoke tokens for the callers of a deployment. The cluster is not changed.

    The exit status is 2 if an option is missing or invalid.
    """
    from triton_operator.sdk.kubernetes_client import KubernetesClient

    if action is not TokenAction.LIST and not _CLIENT.fullmatch(client):
        raise UsageError("--client: pass the name of the caller in spec.privacy.clients, such as shop")
    cluster = KubernetesClient(kube_context(kubeconfig, context))
    folder = KeyFolder(key_folder or default_folder(os.environ, Path.home()))
    caller = CallerIdentity(namespace or cluster.namespace, name, client)
    for field, value in (("NAME", caller.deployment), ("--namespace", caller.namespace)):
        if not _CLIENT.fullmatch(value):
            raise UsageError(f"{field}: {value!r} is not a valid name")
    if action is TokenAction.CREATE:
        _create(folder, caller, round(days * _DAY), output_file)
    elif action is TokenAction.LIST:
        _list(folder, caller, output)
    else:
        _revoke(caller, token_id, _clients(cluster, caller))


def _create(folder: KeyFolder, caller: CallerIdentity, seconds: int, output_file: Path | None) -> None:
    file, key = folder.key(caller)
    try:
        made, issued = issue(key, caller, int(time.time()), seconds)
        public = public_key(key)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error
    folder.record(caller, issued)
    if output_file is None:
        sys.stdout.write(f"{made}\n")
    else:
        write_private(output_file, f"{made}\n")
    say(f"Token {issued.id} of {caller.name} is valid until {_shown(issued.expires)}.", err=True)
    say(f"spec.privacy.clients of ModelDeployment {caller.namespace}/{caller.deployment} must contain:", err=True)
    sys.stderr.write(to_yaml([[{"name": caller.name, "token": {"publicKeys": [public]}}]]))


def _list(folder: KeyFolder, caller: CallerIdentity, output: OutputFormat) -> None:
    rows = [
        {"client": each.name, "id": record.id, "issued": _shown(record.issued), "expires": _shown(record.expires)}
        for each in folder.callers(caller.namespace, caller.deployment)
        for record in folder.records(each)
        if caller.name in {"", each.name}
    ]
    if output is OutputFormat.TABLE:
        console().print(table(["CLIENT", "ID", "ISSUED", "EXPIRES"], [list(row.values()) for row in rows]))
    else:
        print_data(rows, output)


def _revoke(caller: CallerIdentity, token_id: str, clients: list[dict[str, Any]]) -> None:
    if not token_id:
        raise UsageError("--id: pass the ID of the token; `tritonctl token list` prints those that you issued")
    found = next((each for each in clients if each.get("name") == caller.name and each.get("token")), None)
    if found is None:
        raise UsageError(
            f"--client: spec.privacy.clients of {caller.deployment} has no caller {caller.name} with tokens"
        )
    revoked = list(dict.fromkeys([*found["token"].get("revoked", []), token_id]))
    say(f"In spec.privacy.clients of ModelDeployment {caller.namespace}/{caller.deployment}, set:", err=True)
    sys.stdout.write(to_yaml([[{**found, "token": {**found["token"], "revoked": revoked}}]]))


def _clients(cluster: Any, caller: CallerIdentity) -> list[dict[str, Any]]:
    from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS

    spec = cluster.get(MODEL_DEPLOYMENTS, caller.deployment, caller.namespace).get("spec") or {}
    return list((spec.get("privacy") or {}).get("clients") or [])


def _shown(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
