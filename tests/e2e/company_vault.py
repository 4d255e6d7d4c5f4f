"""The vault of a company whose models are encrypted, and the models, in which the plaintext can be recognised.

Input: a vault in the test's process, and the API server that reviews the tokens of pods. Output: encrypted models in a
folder, and every form of their keys that a search has to look for.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import tempfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.kube import Kube, Object
from tests.vault_server import OWNER, VaultServer, failed, vault_server
from training import REPOSITORY
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.vault_key import VaultKey
from triton_operator.resources.vault import AUDIENCE

MODELS = ("digits", "linear_regression")
CANARY = f"canary-{secrets.token_hex(6)}".encode()
"""A part of the plaintext of the first model: of its configuration, its model file and another file."""


@dataclass
class Company:
    """The vault, the ServiceAccount that each role admits, and what the API server said of tokens.

    `keysets` has the keyset of a file, and those that the vault wraps.
    """

    vault: VaultServer
    kube: Kube
    accounts: dict[str, str] = field(default_factory=dict)
    reviews: list[Object] = field(default_factory=list)
    keysets: list[str] = field(default_factory=list)

    def admits(self, role: str, jwt: str) -> bool:
        """Whether the API server confirms that the token is one of the role's account for the vault."""
        self.reviews.append(self.review(jwt, audiences=[AUDIENCE]))
        review = self.reviews[-1]
        expected = f"system:serviceaccount:{self.kube.namespace}:{self.accounts.get(role)}"
        return bool(review.get("authenticated")) and review["user"]["username"] == expected

    def review(self, jwt: str, **spec: object) -> Object:
        """The status of a TokenReview."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": jwt, **spec}}
        output = self.kube.run("create", "-f", "-", "-o", "json", stdin=json.dumps(body), namespaced=False)
        status: Object = json.loads(output)["status"]
        return status

    def hold_second_key(self) -> threading.Event:
        """Be sealed from the request for the key of the second model on; returns the event of that request."""
        reached, count = threading.Event(), [0]

        def answer(path: str) -> tuple[int, Object] | None:
            count[0] += "/decrypt/" in path
            if count[0] < len(MODELS):
                return None
            reached.set()
            return failed(503, "Vault is sealed")

        self.vault.answer = answer
        return reached


def encrypt_models(company: Company, folder: Path) -> None:
    """The models in the clear, and the file with keys, are deleted before anything is searched."""
    with tempfile.TemporaryDirectory() as clear, vault_server() as office:
        office.keys = company.vault.keys
        key = VaultKey(VaultClient(office.address), "transit", "models", OWNER)
        create_keyset(Path(clear, "keyset.json"))
        content = Path(clear, "keyset.json").read_bytes()
        company.keysets.append(content.decode())
        for model in MODELS:
            shutil.copytree(REPOSITORY / model, Path(clear, model))
        add_canaries(Path(clear, MODELS[0]))
        for model in MODELS:
            keyset, wrapped = key.create_keyset()
            encrypt_model(Path(clear, model), folder / "wrapped" / model, keyset, wrapped)
            company.keysets.append(key.vault.unwrap("transit", "models", OWNER, wrapped.ciphertext).decode())
            encrypt_model(Path(clear, model), folder / "keyed" / model, read_keyset(content, "keyset"))


def add_canaries(model: Path) -> None:
    """To the configuration, as a value that the completed configuration has; to the model file; and in another file."""
    word = CANARY.decode()
    with (model / "config.pbtxt").open("a") as config:
        config.write(f'parameters {{ key: "note" value {{ string_value: "{word}-config" }} }}\n')
    with zipfile.ZipFile(model / "1" / "model.pt", "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/extra/note.txt", f"{word}-weights")
    (model / "labels.txt").write_text(f"{word}-labels\n")


def key_forms(keyset: str) -> list[bytes]:
    """The key of a keyset as bytes, in Base64 and in hexadecimal; and as the keyset contains it."""
    value = json.loads(keyset)["key"][0]["keyData"]["value"]
    raw = base64.b64decode(value)[-32:]
    whole = base64.b64encode(keyset.encode())[:200]
    hexadecimal = [raw.hex().encode(), raw.hex().upper().encode()]
    return [raw, base64.b64encode(raw).rstrip(b"="), *hexadecimal, value.encode(), whole]
