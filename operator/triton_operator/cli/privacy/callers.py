"""The callers of a deployment by name and kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.privacy import PermittedClient
from triton_operator.cli.privacy.report import EvidenceItem


def describe_callers(clients: tuple[PermittedClient, ...], namespace: str) -> Iterator[EvidenceItem]:
    """One piece of evidence for each entry of `spec.privacy.clients`; public keys are counted, not quoted."""
    for client in clients:
        kind, facts = _identity(client, namespace)
        limit = client.requests_per_second
        yield EvidenceItem(
            f"caller {client.name}",
            {
                "kind": kind,
                **facts,
                "models": ", ".join(client.models) or "all",
                "requestsPerSecond": str(limit) if limit else "unlimited",
            },
        )


def _identity(client: PermittedClient, namespace: str) -> tuple[str, dict[str, str]]:
    if account := client.service_account:
        return "ServiceAccount", {"serviceAccount": f"{account.namespace or namespace}/{account.name}"}
    if jwt := client.jwt:
        claims = {"claims": ", ".join(f"{name}={value}" for name, value in jwt.claims.items())} if jwt.claims else {}
        return "JWT", {"issuer": jwt.issuer, "audiences": ", ".join(jwt.audiences), **claims}
    if certificate := client.certificate:
        name = {"subject": certificate.subject} if certificate.subject else {"san": certificate.san or ""}
        return "Certificate", name
    if token := client.token:
        return "Token", {"publicKeys": str(len(token.public_keys)), "revoked": str(len(token.revoked))}
    return "Unknown", {}
