"""Whose signatures a deployment's models must have: `spec.verification`.

The schema documents each field. `resources` gives the keys to `prepare`, which verifies the models before anything else
reads them.
"""

from __future__ import annotations

from triton_operator.api.references import ConfigMapKey
from triton_operator.api.struct import Struct


class SigningKey(Struct, frozen=True):
    """A key that may sign: a public key or the certificates of an authority, in PEM form or in a ConfigMap."""

    name: str
    public_key: str | None = None
    config_map_ref: ConfigMapKey | None = None


class Verification(Struct, frozen=True):
    """The signers. Unless `require` is false, a model without a signature is refused; a wrong one always is."""

    keys: tuple[SigningKey, ...]
    require: bool = True
