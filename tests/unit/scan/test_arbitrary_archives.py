"""Mutated archives: the scan neither fails nor overlooks what was planted, unless torch cannot load it either."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.archives import an_archive, with_members, with_statements
from tests.paths import ROOT
from triton_operator.scan.folder import scan_files

MODEL = (ROOT / "model_repository" / "linear_regression" / "1" / "model.pt").read_bytes()
PLANTED = with_statements(MODEL, '_9 = torch.save(0, "/dev/null")')
SEEDS = 5000

Mutation = Callable[[random.Random, bytes], bytes]


def flip(chance: random.Random, content: bytes) -> bytes:
    """Change some bytes."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def flip_structure(chance: random.Random, content: bytes) -> bytes:
    """Change bytes of the table of contents and the end record only, which decide what readers see."""
    start = content.index(b"PK\1\2")
    return content[:start] + flip(chance, content[start:])


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def insert(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + chance.randbytes(chance.randint(1, 40)) + content[at:]


def repeat(chance: random.Random, content: bytes) -> bytes:
    """Copy a part of the archive to another place."""
    start, at = chance.randrange(len(content)), chance.randrange(len(content))
    return content[:at] + content[start : start + chance.randint(1, 300)] + content[at:]


def rename(chance: random.Random, content: bytes) -> bytes:
    """Another case, another name or a name twice, in one place of the two that name a member."""
    name = chance.choice([b"__torch__.py", b"code/", b"data.pkl", b"archive/", b"linear"])
    new = chance.choice([name.upper(), name.swapcase(), b"\0" * len(name), b"../" + name[3:]])
    return content.replace(name, new, chance.randint(1, 2))


def disguise(chance: random.Random, content: bytes) -> bytes:
    """Other characters between the words of the planted statement."""
    gap = "".join(chance.choices([" ", "\\\n", "\t", "\f", "\r", "\v"], k=chance.randint(0, 4)))
    forms = ["torch{g}.{g}save{g}", "getattr(torch, 'sa' 've'){g}", "ops.aten{g}.{g}save", "(torch.#{g}\nsave)"]
    call = chance.choice(forms)
    text = f"_9 = {call.format(g=gap)}(0, '/dev/null')"
    return with_members(content, lambda _, data: data.replace(b'_9 = torch.save(0, "/dev/null")', text.encode()))


MUTATIONS: list[Mutation] = [flip, flip_structure, cut, insert, repeat, rename, disguise]


def loads_planted(content: bytes) -> bool:
    """Whether torch loads the file and its code saves something."""
    try:
        module = torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]
        return "aten::save" in str(module.inlined_graph)
    except Exception:  # noqa: BLE001 -- torch raises many types for damaged files
        return False


@pytest.mark.timeout(600)
def test_no_mutation_of_a_planted_operator_is_overlooked(tmp_path: Path) -> None:
    """5,000 archives; those without a finding must be ones that torch does not load, or loads without the operator."""
    overlooked, loaded, path = [], 0, tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load is deprecated.
        for seed in range(SEEDS):
            chance = random.Random(seed)
            content = MUTATIONS[seed % len(MUTATIONS)](chance, PLANTED)
            path.write_bytes(content)
            found = list(scan_files([("model.pt", path)]))
            if seed % 5 == 0 or not found:
                loads = loads_planted(content)
                loaded += loads
                if loads and not found:
                    overlooked.append(seed)
    assert overlooked == []
    assert loaded > SEEDS // 50  # The control: many mutated archives do load and save.


def test_planted_content_of_every_kind_is_found_among_random_members(tmp_path: Path) -> None:
    """Random members before and after the planted one do not hide it."""
    path = tmp_path / "model.pt"
    for seed in range(300):
        chance = random.Random(seed)
        members = [(f"data/{n}", chance.randbytes(chance.randint(0, 200))) for n in range(chance.randint(0, 8))]
        name, content, kind = chance.choice(
            [
                ("data.pkl", b"cos\nsystem\n.", "PickledType"),
                ("code/x.py", b"torch.save(x)", "Operator"),
                ("extra/x.so", b"\x7fELF", "UnrestrictedCode"),
                ("../x", b"", "Archive"),
            ]
        )
        members.insert(chance.randint(0, len(members)), (name, content))
        path.write_bytes(an_archive(*members))
        assert kind in {found.kind for found in scan_files([("model.pt", path)])}, seed
