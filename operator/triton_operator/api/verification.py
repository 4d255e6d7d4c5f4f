"""How a deployment's models are checked before they are loaded: `spec.verification`.

The schema documents each field. `resources` gives the keys to `prepare`, which verifies the models before anything else
reads them, and scans what Triton will read.
"""

from __future__ import annotations

from triton_operator.api.references import ConfigMapKey
from triton_operator.api.scan import Scan
from triton_operator.api.struct import Struct


class SigningKey(Struct, frozen=True):
    """A key that may sign: a public key or the certificates of an authority, in PEM form or in a ConfigMap."""

    name: str
    public_key: str | None = None
    config_map_ref: ConfigMapKey | None = None


class Verification(Struct, frozen=True):
    """The signers, and what happens to models in which the scan finds something; without keys, none are checked.

    Unless `require` is false, a model without a signature is rejected; a wrong one always is. `scan` None is the
    default of the profile.
    """

    keys: tuple[SigningKey, ...] = ()
    require: bool = True
    scan: Scan | None = None
