"""Open the keysets of encrypted models with a vault, to which the pod logs in with the token of its ServiceAccount.

Input: the VaultLogin of the request, and the folder that the kubelet mounts with the token and the authorities. Output:
a KeysetOf, or PrepareError. `steps` calls it. The vault's token is only in the memory of this process, and is revoked
after use. Failures that a retry can fix are retried for RetryBudget's time; then the container ends, and the kubelet
restarts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from triton_operator.api.conditions import Reason
from triton_operator.encryption.errors import (
    VaultDeniedError,
    VaultError,
    VaultUnreachableError,
    VaultUntrustedError,
)
from triton_operator.encryption.keyset import Keyset, KeysetOf
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.vault_key import VaultKey
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.origin import TransientError
from triton_operator.prepare.fetch.retry_budget import RetryBudget
from triton_operator.triton.prepare_contract.request import VAULT_CA_FILE, VAULT_TOKEN_FILE, VaultLogin

Result = TypeVar("Result")


@contextmanager
def open_vault(login: VaultLogin, folder: Path) -> Iterator[KeysetOf]:
    """Log in while the block runs; yields a function that unwraps the keyset of a model. Both raise PrepareError.

    A token that cannot be revoked, for example because the role lacks the policy `default`, expires.
    """
    vault, jwt = _vault(login, folder), _read_token(folder)
    token = _retried(
        login,
        lambda: vault.log_in(login.auth_path, login.role, jwt),
        f'denies the login with the role "{login.role}" at auth/{login.auth_path} for the key "{login.key}"',
    )
    key = VaultKey(vault, login.transit_path, login.key, token)

    def keyset_of(model: Path) -> Keyset:
        return _retried(
            login,
            lambda: key.open_keyset(model),
            f'denies the use of the key "{login.key}" at {login.transit_path} with the role "{login.role}"',
        )

    try:
        yield keyset_of
    finally:
        with suppress(VaultError):
            vault.revoke(token)


def _vault(login: VaultLogin, folder: Path) -> VaultClient:
    try:
        return VaultClient(login.address, _read_authorities(login, folder))
    except OSError as error:  # ssl.SSLError
        raise PrepareError(
            Reason.VAULT_UNTRUSTED,
            "",
            f'ConfigMap "{login.ca_config_map}", key "{login.ca_key}": it has no certificate in PEM form',
        ) from error
    except ValueError as error:
        raise PrepareError(Reason.VAULT_DENIED, "", f"spec.decryption.vault.address {error}") from error


def _read_authorities(login: VaultLogin, folder: Path) -> bytes | None:
    """The only trusted authorities in PEM form; None for those of the image."""
    if not login.ca_config_map:
        return None
    file = folder / VAULT_CA_FILE
    if not file.exists():
        raise PrepareError(
            Reason.DEPENDENCY_MISSING,
            "",
            f'ConfigMap "{login.ca_config_map}", key "{login.ca_key}" does not exist; it must contain the certificates '
            f"of the authority of {login.address}",
        )
    return file.read_bytes()


def _read_token(folder: Path) -> str:
    return (folder / VAULT_TOKEN_FILE).read_text(encoding="ascii").strip()


def _retried(login: VaultLogin, request: Callable[[], Result], denied: str) -> Result:
    """Repeat a request while the vault cannot be reached; raises PrepareError, which names vault, role and key."""
    budget, attempts = RetryBudget("", Reason.VAULT_UNREACHABLE, "no request succeeded"), 0
    while True:
        try:
            return request()
        except VaultUnreachableError as error:
            attempts += 1
            budget.wait(TransientError(str(error)), attempts)
        except VaultUntrustedError as error:
            raise PrepareError(Reason.VAULT_UNTRUSTED, "", f"{error}; {_advice(login)}") from error
        except VaultDeniedError as error:
            message = f"{login.address} {denied}; it answered {error.answer}"
            raise PrepareError(Reason.VAULT_DENIED, "", message) from error


def _advice(login: VaultLogin) -> str:
    if login.ca_config_map:
        return f'correct the certificates in ConfigMap "{login.ca_config_map}", key "{login.ca_key}"'
    return "if a private authority issued it, set spec.decryption.vault.caConfigMapRef"
