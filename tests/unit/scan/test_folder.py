"""Files are scanned by their content; code that nobody can judge is one finding per kind."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from tests.archives import a_model_file, a_zip, an_archive, write
from tests.paths import ROOT
from triton_operator.scan import folder
from triton_operator.scan.folder import scan_files

COMPILED = "data/aotinductor/model/"
EVIL = b"cos\nsystem\n(S'exit 77'\ntR."


def scan(path: Path) -> list[str]:
    files = sorted(each for each in path.rglob("*") if each.is_file())
    named = ((str(each.relative_to(path)), each) for each in files)
    return [f"{found.kind} {found.shown}" for found in scan_files(named)]


def test_the_committed_models_are_clean_but_for_their_python_code(tmp_path: Path) -> None:
    """The control: models of torch 2.6 and later, traced and scripted, with LSTM, GRU, BERT and convolutions.

    The tokenizer is copied, because tests that import it leave its bytecode in the folder.
    """
    clean = {path.parents[1].name: scan(path.parents[1]) for path in ROOT.glob("model_repository/*/1/model.pt")}
    assert len(clean) >= 9
    assert not any(clean.values()), clean
    tokenizer = tmp_path / "wordpiece_tokenizer"
    shutil.copytree(ROOT / "model_repository" / tokenizer.name, tokenizer, ignore=shutil.ignore_patterns("__pycache__"))
    assert scan(tokenizer) == ["UnrestrictedCode 1/model.py: Python code, which can do anything and is not scanned"]


CONTENT = {
    "an operator": (
        "model.pt",
        a_model_file(code="torch.save(x)"),
        "Operator",
        "code/__torch__.py: line 1: writes",
    ),
    "a pickled type": (
        "model.pt",
        an_archive(("data.pkl", EVIL), ("code/a.py", b""), ("constants.pkl", b").")),
        "PickledType",
        "data.pkl: names os system",
    ),
    "an archive with another name": ("weights.bin", a_model_file(code="torch.save(x)"), "Operator", "writes a file"),
    "a table of source positions": (
        "model.pt",
        a_model_file(None, ("code/a.py.debug_pkl", EVIL)),
        "PickledType",
        "code/a.py.debug_pkl: names os system",
    ),
    "a pickle with another name": ("labels.bin", pickle.dumps(print, 4), "PickledType", "names builtins print"),
    "a pickle of an old protocol": ("labels.pkl", EVIL, "PickledType", "names os system"),
    "data before an archive": ("labels.txt", b"#!/bin/sh\n" + a_model_file(), "Archive", "has data before the archive"),
    "a flatbuffer": ("model.pt", b"\0\0\0\0PTMF" + bytes(100), "Archive", "is a flatbuffer"),
    "an unknown model file": ("model.pt", b"\0\1\2", "Archive", "is a file of unknown format"),
    "a truncated archive": ("model.pt", a_model_file()[:300], "Archive", "cannot be read"),
    "large code": ("model.pt", a_model_file(code=" " * (9 << 20)), "Size", "code/__torch__.py: code/__torch__.py has"),
    "a library": ("libtriton_x.so", b"\x7fELF\2", "UnrestrictedCode", "native code"),
    "a library with another name": ("x.txt", b"\x7fELF\2", "UnrestrictedCode", "native code"),
    "a library in an archive": (
        "model.pt2",
        an_archive(("archive_format", b"pt2"), ("data/aotinductor/model/x.so", b"\x7fELF")),
        "UnrestrictedCode",
        "data/aotinductor/model/x.so: native code",
    ),
    "a library of an older package": (
        "model.pt2",
        a_zip(("a/b", b""), ("data/aotinductor/model/x.so", b"\x7fELF")),
        "UnrestrictedCode",
        "data/aotinductor/model/x.so: native code",
    ),
    "sources that torch compiles": (
        "model.pt2",
        an_archive(("archive_format", b"pt2"), (f"{COMPILED}x.cpp", b""), (f"{COMPILED}x_compile_flags.json", b"{}")),
        "UnrestrictedCode",
        f"{COMPILED}x.cpp: native code, which is not scanned and 1 more",
    ),
    "a pickle next to a folder": ("x.zip", a_zip(("a/b", b""), ("x.pkl", EVIL)), "PickledType", "x.pkl: names os"),
    "bytecode next to TorchScript": (
        "model.pt",
        a_model_file(None, ("code/a.pyc", b"")),
        "UnrestrictedCode",
        "code/a.pyc: Python code",
    ),
    "the format of torch 1.0": (
        "model.pt",
        a_model_file(None, ("model.json", b"{}"), ("x", b"torch.save(x)")),
        "Archive",
        "model.json: is the format of torch 1.0",
    ),
    "Python in an archive": ("x.pt", an_archive(("pkg/a.py", b"")), "UnrestrictedCode", "pkg/a.py: Python code"),
    "Python": ("model.py", b"import os", "UnrestrictedCode", "Python code"),
}


@pytest.mark.parametrize("case", CONTENT)
def test_every_kind_of_finding(tmp_path: Path, case: str) -> None:
    name, content, kind, words = CONTENT[case]
    write(tmp_path / "1" / name, content)
    assert any(found.startswith(f"{kind} 1/{name}: ") and words in found for found in scan(tmp_path)), scan(tmp_path)


@pytest.mark.parametrize("content", [b"text\n", b"", b"\0\1"])
def test_other_files_are_not_judged(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "1" / "model.onnx", content)
    assert scan(tmp_path) == []


def test_many_python_files_are_one_finding(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / "1" / f"{number}.py", b"")
    (found,) = scan(tmp_path)
    assert found.startswith("UnrestrictedCode 1/0.py and 4 more: Python code")


def test_the_findings_of_one_file_are_limited(tmp_path: Path) -> None:
    write(tmp_path / "model.pt", a_model_file(code="torch.save(x)\n" * 5000))
    found = scan(tmp_path)
    assert len(found) == folder.MOST_PER_FILE + 1
    assert "has more than 100 findings" in found[-1]
