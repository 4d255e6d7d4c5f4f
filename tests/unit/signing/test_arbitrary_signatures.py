"""Whatever a signature file contains, verification ends with a reason and never accepts it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mutations import mutate
from tests.signers import Signer
from triton_operator.api.conditions import PREPARE_REASONS
from triton_operator.signing.errors import VerificationError
from triton_operator.signing.keys import VerificationKey, read_key
from triton_operator.signing.statement import read_statement
from triton_operator.signing.verify import verify_model

SAMPLES = 2000


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signer]:
    folder = tmp_path_factory.mktemp("signed")
    signer = Signer(folder)
    model = folder / "digits"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.pt").write_bytes(b"model")
    return signer.sign(model), signer


@settings(max_examples=500)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_signature(content: bytes) -> None:
    with pytest.raises(VerificationError):
        read_statement(content)


def test_changed_signatures_are_refused(signed: tuple[Path, Signer]) -> None:
    """Bytes of a real signature are replaced, removed and repeated; a change of white space may remain valid."""
    model, signer = signed
    keys = [read_key("release", signer.public)]
    original = (model / "model.sig").read_bytes()
    assert verify_model(model, "digits", keys) == "release"
    drawn = random.Random(12)
    for _ in range(SAMPLES):
        changed = mutate(original, drawn)
        (model / "model.sig").write_bytes(changed)
        result = verify(model, keys)
        assert result in {"release", *PREPARE_REASONS}
        if result == "release":
            assert verified_content(changed) == verified_content(original)


def verify(model: Path, keys: list[VerificationKey]) -> str:
    """Return the signer, or the reason of the refusal."""
    try:
        return verify_model(model, "digits", keys)
    except VerificationError as refused:
        return refused.reason


def verified_content(signature: bytes) -> Any:
    """What a valid signature protects: the list of files, and the key's fingerprint."""
    bundle = json.loads(signature)
    return bundle["dsseEnvelope"]["payload"], bundle["verificationMaterial"]["publicKey"]["hint"]
