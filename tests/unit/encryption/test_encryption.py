"""Encrypt a model, change something, and decrypt it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mutations import mutate
from triton_operator.api.conditions import Reason
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.errors import DecryptionError, EncryptionError, KeysetError
from triton_operator.encryption.header import HEADER_FILE, read_header
from triton_operator.encryption.keyset import Keyset, create_keyset, read_keyset

MIB = 1 << 20
SIZES = (0, 1, MIB - 100, MIB, MIB + 1, 3 * MIB)
"""Around the segments of the construction."""
ROUND_TRIP = """
import resource, sys
from pathlib import Path
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import read_keyset
model, keys = Path(sys.argv[1]), read_keyset(Path(sys.argv[2]).read_bytes(), "keys")
encrypted, plain = model.parent / "encrypted", model.parent / "plain"
encrypt_model(model, encrypted, keys)
decrypt_model(encrypted, "digits", plain, keys)
assert (plain / "model.pt").stat().st_size == (model / "model.pt").stat().st_size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keyset:
    return new_keys(tmp_path_factory.mktemp("keys"), "own")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a file of each size."""
    folder = tmp_path_factory.mktemp("plain") / "digits"
    (folder / "1").mkdir(parents=True)
    for size in SIZES:
        (folder / "1" / f"{size}.bin").write_bytes(bytes(number % 251 for number in range(size)))
    (folder / "config.pbtxt").write_text('backend: "pytorch"\n')
    return folder


@pytest.fixture
def encrypted(tmp_path: Path, model: Path, keys: Keyset) -> Path:
    folder = tmp_path / "encrypted" / "digits"
    folder.parent.mkdir()
    encrypt_model(model, folder, keys)
    return folder


def new_keys(folder: Path, name: str) -> Keyset:
    create_keyset(folder / name)
    return read_keyset((folder / name).read_bytes(), name)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_plaintext_is_the_original_and_the_ciphertext_shows_names_and_sizes_only(
    encrypted: Path, model: Path, keys: Keyset, tmp_path: Path
) -> None:
    header = decrypt_model(encrypted, "digits", tmp_path / "plain", keys)
    assert content(tmp_path / "plain") == content(model)
    assert header.size == sum(map(len, content(model).values()))
    assert not any(b"pytorch" in data for data in content(encrypted).values())


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def cut(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:-length])


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def as_link(file: Path) -> None:
    moved = file.rename(file.parent.parent / "moved")
    file.symlink_to(moved)


def edit(folder: Path, **fields: object) -> None:
    header = json.loads((folder / HEADER_FILE).read_bytes())
    (folder / HEADER_FILE).write_text(json.dumps(header | fields))


def edit_size(model: Path) -> None:
    header = json.loads((model / HEADER_FILE).read_bytes())
    header["files"]["config.pbtxt"] += 1
    (model / HEADER_FILE).write_text(json.dumps(header))


def drop(model: Path) -> None:
    """Remove a file together with its line."""
    header = json.loads((model / HEADER_FILE).read_bytes())
    del header["files"]["config.pbtxt"]
    (model / "config.pbtxt.enc").unlink()
    (model / HEADER_FILE).write_text(json.dumps(header))


Change = Callable[[Path], object]

CHANGES: dict[str, tuple[Change, str]] = {
    "one bit of a file": (lambda m: flip(m / "1" / "1.bin.enc", -1), "1/1.bin.enc was changed"),
    "one bit of a file's beginning": (lambda m: flip(m / "1" / "1.bin.enc", 5), "1/1.bin.enc was changed"),
    "a file is truncated": (lambda m: cut(m / "1" / f"{3 * MIB}.bin.enc", 1), f"{3 * MIB}.bin.enc was changed"),
    "a file loses its last segment": (
        lambda m: cut(m / "1" / f"{3 * MIB}.bin.enc", MIB),
        f"{3 * MIB}.bin.enc was changed",
    ),
    "a file is empty": (lambda m: (m / "1" / "1.bin.enc").write_bytes(b""), "1/1.bin.enc was changed"),
    "two files are swapped": (lambda m: swap(m / "1" / "0.bin.enc", m / "1" / "1.bin.enc"), "was changed"),
    "a file is missing": (lambda m: (m / "config.pbtxt.enc").unlink(), "config.pbtxt.enc is missing"),
    "a file is renamed": (
        lambda m: (m / "config.pbtxt.enc").rename(m / "labels.txt.enc"),
        "config.pbtxt.enc is missing",
    ),
    "a file is added": (lambda m: (m / "1" / "x.so").touch(), "1/x.so is not in encryption.json"),
    "a file becomes a link": (lambda m: as_link(m / "config.pbtxt.enc"), "config.pbtxt.enc cannot be read"),
    "the header names another model": (lambda m: edit(m, model="fraud"), 'the model "fraud", not of "digits"'),
    "the header has another size": (edit_size, "was changed"),
    "the header does not list a file": (drop, "was changed"),
    "the header lists a path outside": (lambda m: edit(m, files={"../x": 1}), "not a path in the model's folder"),
    "the header lists an absolute path": (lambda m: edit(m, files={"/x": 1}), "not a path in the model's folder"),
    "the header lists a negative size": (lambda m: edit(m, files={"x": -1}), "a size of -1 bytes"),
    "the header names another key": (lambda m: edit(m, keyId=1), "encrypted with the key 1, but the keyset has"),
    "the header is of a newer version": (lambda m: edit(m, version=2), "only version 1 is supported"),
    "the header is empty": (lambda m: (m / HEADER_FILE).write_bytes(b""), "not a header of tritonctl encrypt"),
    "the header is nested": (lambda m: (m / HEADER_FILE).write_bytes(b"[" * 100_000), "not a header"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_refused_and_leaves_nothing(change: str, encrypted: Path, keys: Keyset, tmp_path: Path) -> None:
    decrypt_model(encrypted, "digits", tmp_path / "before", keys)
    make, message = CHANGES[change]
    make(encrypted)
    with pytest.raises(DecryptionError) as refused:
        decrypt_model(encrypted, "digits", tmp_path / "plain", keys)
    assert refused.value.reason == Reason.DECRYPTION_FAILED
    assert message in str(refused.value)
    assert not (tmp_path / "plain").exists()


def test_a_pipe_in_the_place_of_the_header_is_refused(tmp_path: Path) -> None:
    """A reader would wait until somebody writes."""
    os.mkfifo(tmp_path / HEADER_FILE)
    with pytest.raises(DecryptionError, match="cannot be read"):
        read_header(tmp_path)


def test_the_files_of_another_model_are_refused(encrypted: Path, keys: Keyset, tmp_path: Path, model: Path) -> None:
    """Both models have the same files and the same key; only the name differs."""
    other = tmp_path / "other"
    shutil.copytree(model, tmp_path / "plain" / "other")
    encrypt_model(tmp_path / "plain" / "other", other, keys)
    shutil.copy(other / "config.pbtxt.enc", encrypted / "config.pbtxt.enc")
    with pytest.raises(DecryptionError, match=r"config\.pbtxt\.enc was changed"):
        decrypt_model(encrypted, "digits", tmp_path / "out", keys)


def test_another_key_is_refused_by_its_number(encrypted: Path, keys: Keyset, tmp_path: Path) -> None:
    other = new_keys(tmp_path, "other")
    with pytest.raises(DecryptionError, match=f"with the key {keys.primary_id}, but the keyset has {other.primary_id}"):
        decrypt_model(encrypted, "digits", tmp_path / "plain", other)


def test_a_keyset_with_a_new_primary_key_decrypts_what_the_old_one_encrypted(model: Path, tmp_path: Path) -> None:
    """Afterwards the old key can be removed: models that were encrypted again do not need it."""
    old, new = (new_keys(tmp_path, name) for name in ("old", "new"))
    both = rotated(tmp_path / "old", tmp_path / "new")
    assert both.primary_id == new.primary_id
    encrypt_model(model, tmp_path / "before", old)
    decrypt_model(tmp_path / "before", "digits", tmp_path / "plain", both)
    assert content(tmp_path / "plain") == content(model)
    encrypt_model(tmp_path / "plain", tmp_path / "again" / "digits", both)
    decrypt_model(tmp_path / "again" / "digits", "plain", tmp_path / "plain-again", new)
    assert content(tmp_path / "plain-again") == content(model)
    with pytest.raises(DecryptionError, match=f"with the key {old.primary_id}, but the keyset has {new.primary_id}"):
        decrypt_model(tmp_path / "before", "digits", tmp_path / "refused", new)


def rotated(old: Path, new: Path) -> Keyset:
    """The keys of both files; the primary key is that of `new`."""
    keyset = json.loads(new.read_text())
    keyset["key"] = json.loads(old.read_text())["key"] + keyset["key"]
    return read_keyset(json.dumps(keyset).encode(), "rotated")


def test_a_file_that_is_no_keyset_is_named_without_its_content(tmp_path: Path) -> None:
    for data in (b"", b"{}", b"secret words", b"\xff", b"0" * (2 << 20)):
        with pytest.raises(KeysetError, match="the Secret") as refused:
            read_keyset(data, "the Secret")
        assert "words" not in str(refused.value)
        assert refused.value.__cause__ is None
    create_keyset(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    with pytest.raises(EncryptionError, match="already exists"):
        create_keyset(tmp_path / "keys")


@pytest.mark.parametrize(("name", "message"), [("model.sig", "is signed"), (HEADER_FILE, "already encrypted")])
def test_a_signed_or_encrypted_model_is_not_encrypted(name: str, message: str, keys: Keyset, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / name).touch()
    with pytest.raises(EncryptionError, match=message):
        encrypt_model(folder, tmp_path / "out", keys)
    (folder / name).unlink()
    with pytest.raises(EncryptionError, match="no files"):
        encrypt_model(folder, tmp_path / "out", keys)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(EncryptionError, match="is a link"):
        encrypt_model(folder, tmp_path / "out", keys)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["digits"]


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_arbitrary_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / HEADER_FILE).write_bytes(data)
    with pytest.raises(DecryptionError):
        read_header(tmp_path)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.randoms(use_true_random=False))
def test_changed_headers_are_refused(small: tuple[Path, bytes], keys: Keyset, drawn: random.Random) -> None:
    """Unlike arbitrary bytes, many of them are headers; the header is authenticated with each file."""
    folder, ciphertext = small
    (folder / "config.pbtxt.enc").write_bytes(ciphertext)
    header, target = folder / HEADER_FILE, folder.parent / "plain"
    original = header.read_bytes()
    try:
        header.write_bytes(changed := mutate(original, drawn))
        if changed == original:
            return
        with pytest.raises(DecryptionError):
            decrypt_model(folder, "small", target, keys)
        assert not target.exists()
    finally:
        header.write_bytes(original)


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**9), length=st.integers(0, 40), data=st.binary(max_size=40))
def test_changed_ciphertexts_are_refused(
    keys: Keyset,
    small: tuple[Path, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    place: int,
    length: int,
    data: bytes,
) -> None:
    """A part of the ciphertext is replaced by other bytes; if they are equal, it is decrypted."""
    folder, original = small
    place %= len(original)
    changed = original[:place] + data + original[place + length :]
    (folder / "config.pbtxt.enc").write_bytes(changed)
    target = folder.parent / "plain"
    if changed == original:
        decrypt_model(folder, "small", target, keys)
        shutil.rmtree(target)
        return
    with pytest.raises(DecryptionError):
        decrypt_model(folder, "small", target, keys)
    assert not target.exists()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, keys: Keyset) -> tuple[Path, bytes]:
    """An encrypted model with one small file, and its ciphertext."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "plain-small" / "small").mkdir(parents=True)
    (folder / "plain-small" / "small" / "config.pbtxt").write_text('backend: "pytorch"\n')
    encrypt_model(folder / "plain-small" / "small", folder / "small", keys)
    return folder / "small", (folder / "small" / "config.pbtxt.enc").read_bytes()


def test_the_memory_that_encryption_needs_does_not_depend_on_the_size(tmp_path: Path) -> None:
    """Of a process that encrypts and decrypts 256 MiB, against one with 1 MiB."""
    create_keyset(tmp_path / "keys")
    used = {size: most_bytes(tmp_path, size) for size in (MIB, 256 * MIB)}
    assert used[256 * MIB] - used[MIB] < 64 * MIB


def most_bytes(folder: Path, size: int) -> int:
    """Maximum resident bytes of the process."""
    model = folder / str(size) / "digits"
    model.mkdir(parents=True)
    with (model / "model.pt").open("wb") as file:
        file.truncate(size)
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, model, folder / "keys"], capture_output=True, text=True, check=True
    )
    return int(done.stdout) * 1024
