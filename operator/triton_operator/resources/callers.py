"""The callers of a deployment for the proxy, and the issuers of their tokens.

Pure. Input: `spec.privacy.clients` and the ProxyInputs. Output: Callers and Issuers of the policy, or InvalidSpecError
with the path of the field that names a key which is not one. Callers with the same issuer share its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.names import audience, token_issuer
from triton_operator.api.privacy import CertificateCaller, JWTCaller, PermittedClient, ServiceAccountCaller
from triton_operator.api.references import ConfigMapKey
from triton_operator.api.spec import Metadata
from triton_operator.resources.proxy_inputs import ProxyInputs, account_of
from triton_operator.resources.public_keys import (
    LONGEST_TEXT,
    canonical_subject,
    is_printable,
    key_of_pem,
    keys_of_jwks,
)
from triton_operator.triton.proxy_contract.policy import Caller, CertificateRule, Claim, Issuer, TokenRule

_T = TypeVar("_T")

_ACCOUNT_UID = r"kubernetes\.io.serviceaccount.uid"
"""The claim with the uid of the ServiceAccount. Without it, a token would outlive a deleted ServiceAccount."""


class CallerBuilder:
    """Builds one caller after the other, and collects their issuers."""

    def __init__(self, deployment: Metadata, inputs: ProxyInputs) -> None:
        self._deployment = deployment
        self._inputs = inputs
        self._issuers: dict[str, Issuer] = {}

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The issuers of all callers so far."""
        return tuple(self._issuers.values())

    def build(self, client: PermittedClient, path: str) -> Caller:
        """The caller; raises InvalidSpecError."""
        return Caller(
            name=client.name,
            token=self._token(client, path),
            certificate=_certificate(client.certificate, f"{path}.certificate") if client.certificate else None,
            models=client.models,
            requests_per_second=client.requests_per_second or 0,
        )

    def _token(self, client: PermittedClient, path: str) -> TokenRule | None:
        if client.service_account:
            return self._service_account(client.service_account, f"{path}.serviceAccount")
        if client.jwt:
            return self._jwt(client.jwt, f"{path}.jwt")
        if client.token:
            keys = (
                checked(key_of_pem, pem, f"{path}.token.publicKeys[{index}]")
                for index, pem in enumerate(client.token.public_keys)
            )
            name = token_issuer(self._deployment.namespace, self._deployment.name, client.name)
            self._add(Issuer(name, tuple(dict.fromkeys(keys)), client.token.revoked))
            return TokenRule(name, (self._audience,))
        if client.certificate is None:
            message = "exactly one of serviceAccount, jwt, certificate and token must be set"
            raise InvalidSpecError(Reason.INVALID_SPEC, path, message)
        return None

    @property
    def _audience(self) -> str:
        return audience(self._deployment.namespace, self._deployment.name)

    def _service_account(self, caller: ServiceAccountCaller, path: str) -> TokenRule:
        cluster = self._inputs.cluster
        if cluster is None:
            message = "the cluster's public keys, which verify its tokens, are not known"
            raise InvalidSpecError(Reason.INVALID_SPEC, path, message)
        self._add(cluster)
        account = account_of(caller, self._deployment)
        claims = [Claim("sub", f"system:serviceaccount:{':'.join(account)}")]
        if uid := self._inputs.accounts.get(account):
            claims.append(Claim(_ACCOUNT_UID, uid))
        return TokenRule(cluster.name, (self._audience,), tuple(claims))

    def _jwt(self, caller: JWTCaller, path: str) -> TokenRule:
        if caller.jwks_config_map_ref:
            reference = f"{path}.jwksConfigMapRef"
            text = content_of(caller.jwks_config_map_ref, self._inputs, reference)
            keys = () if text is None else checked(keys_of_jwks, text, reference)
        else:
            keys = checked(keys_of_jwks, caller.jwks or "", f"{path}.jwks")
        self._add(Issuer(caller.issuer, keys))
        claims = tuple(Claim(name, value) for name, value in sorted((caller.claims or {}).items()))
        if wrong := [claim.name for claim in claims if not (claim.value and is_printable(claim.value))]:
            message = f"the value of {wrong[0]} must be printable ASCII of 1 to {LONGEST_TEXT} characters"
            raise InvalidSpecError(Reason.INVALID_SPEC, f"{path}.claims", message)
        return TokenRule(caller.issuer, caller.audiences, claims)

    def _add(self, issuer: Issuer) -> None:
        known = self._issuers.get(issuer.name)
        keys = (*known.keys, *issuer.keys) if known else issuer.keys
        self._issuers[issuer.name] = Issuer(issuer.name, tuple(dict.fromkeys(keys)), issuer.revoked)


def content_of(key: ConfigMapKey, inputs: ProxyInputs, path: str) -> str | None:
    """The content of a user's ConfigMap; None offline. Raises InvalidSpecError if it does not exist."""
    if inputs.texts is None:
        return None
    text = inputs.texts.get(key)
    if text is None:
        message = f"ConfigMap {key.name} does not exist or has no key {key.key}"
        raise InvalidSpecError(Reason.INVALID_SPEC, path, message)
    return text


def checked(read: Callable[[str], _T], text: str, path: str) -> _T:
    """The value that `read` finds in the text; its ValueError becomes an InvalidSpecError of this field."""
    try:
        return read(text)
    except ValueError as error:
        raise InvalidSpecError(Reason.INVALID_SPEC, path, str(error)) from error


def _certificate(caller: CertificateCaller, path: str) -> CertificateRule:
    if caller.subject:
        return CertificateRule(subject=checked(canonical_subject, caller.subject, f"{path}.subject"))
    return CertificateRule(san=caller.san or "")
