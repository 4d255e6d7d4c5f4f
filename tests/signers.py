"""Key pairs that sign models in tests: the same numbers always give the same keys, so messages can be compared."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from triton_operator.signing.sign import sign_model
from triton_operator.triton.model_file.folder import SIGNATURE_FILE


class Signer:
    """A key by number, in a folder: `key` is the file with the private key, `public_key` the public key as text."""

    def __init__(self, folder: Path, number: int = 1) -> None:
        private = ec.derive_private_key(number, ec.SECP256R1())
        self.key = folder / f"signer-{number}.key"
        self.key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public = folder / f"signer-{number}.pub"
        self.public_key = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.public.write_text(self.public_key)

    def sign(self, folder: Path) -> Path:
        """Sign a model's folder and return it."""
        sign_model(folder, self.key)
        return folder


def forge_signature(folder: Path) -> None:
    """Change one bit of the signature over an unchanged list of files."""
    file = folder / SIGNATURE_FILE
    bundle = json.loads(file.read_bytes())
    signature = bytearray(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
    signature[-1] ^= 1
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    file.write_text(json.dumps(bundle))
