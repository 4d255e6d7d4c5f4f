"""Malicious files: `lint` and `render` report an error, in bounded time and memory.

pytest's time limit detects an algorithm with quadratic time, which would take minutes.
"""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from tests.archives import an_archive, write
from tests.tritonctl import tritonctl
from triton_operator.cli.lint.code import read_arguments
from triton_operator.triton.model_file.archive import Archive

MIB = 1 << 20
CLASS = b"\x80\x02c__torch__\nM\nq\x00."
CONSTANTS = ("constants.pkl", b"\x80\x02).")


def arguments_of(path: Path) -> list[str] | None:
    with path.open("rb") as file:
        arguments = read_arguments(Archive(file))
    return None if arguments is None else [f"{each.name}: {each.kind}" for each in arguments]


@pytest.mark.parametrize(
    "code",
    [
        "class M(Module):\n  def forward(self: " + "a" * (6 * MIB),
        "class M(Module):\n" + "  def forward(self: M,\n" * (6 * MIB // 24),
        "class M(Module):\n" * (6 * MIB // 17),
        "class M(Module):\n  def forward(self: M,\n" + "    a" * MIB,
        "class M(Module):\n  def forward(self: M,\n" + ")" * (6 * MIB),
    ],
    ids=["one-line", "many-forwards", "many-classes", "many-arguments", "many-brackets"],
)
def test_the_arguments_of_hostile_code_are_not_found_in_linear_time(tmp_path: Path, code: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(an_archive(("data.pkl", CLASS), ("code/__torch__.py", code.encode()), CONSTANTS))
    assert arguments_of(path) is None


def test_the_modules_own_argument_may_have_any_name(tmp_path: Path) -> None:
    code = b"class M(Module):\n  def forward(s: __torch__.M,\n    x: Tensor,\n    y: Optional[float]=None) -> Tensor:\n"
    path = tmp_path / "model.pt"
    path.write_bytes(an_archive(("data.pkl", CLASS), ("code/__torch__.py", code), CONSTANTS))
    assert arguments_of(path) == ["x: Tensor", "y: Optional[float]"]


def test_a_table_of_operations_without_a_class_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(an_archive(("data.pkl", b"\x80\x02" + b"N" * (60 * MIB)), ("code/a.py", b""), CONSTANTS))
    assert arguments_of(path) is None


def test_members_that_unpack_to_gigabytes_are_refused_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each member is below the limit for one, and the file has 0.8 MB."""
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/constants.pkl", b"\x80\x02).")
        for number in range(100):
            archive.writestr(f"a/code/{number}.py", b" " * (8 * MIB - 1))
    tracemalloc.start()
    outcome = tritonctl(capsys, "lint", path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome.code == 1
    assert "bytes; export the model again" in outcome.out
    assert peak < 200 * MIB


def test_as_many_members_as_a_table_of_contents_holds_are_read_in_linear_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [(f"code/{number}.py", b"pass\n") for number in range(50_000)]
    path = tmp_path / "model.pt"
    path.write_bytes(an_archive(("data.pkl", CLASS), CONSTANTS, *members))
    assert tritonctl(capsys, "lint", path).code == 0


def test_of_a_million_findings_the_first_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(an_archive(("data.pkl", CLASS), CONSTANTS, ("code/a.py", b"print(x)\n" * 500_000)))
    outcome = tritonctl(capsys, "lint", path)
    assert outcome.code == 0
    assert outcome.out.count("prints to the server's log") == 100
    assert "has more than 100 findings; only the first are shown" in outcome.out


@pytest.mark.parametrize("name", ["config.pbtxt", "object.yaml"])
def test_a_sparse_file_of_8_gib_is_refused_by_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write(tmp_path / "digits" / "1" / "model.pt", b"")
    file = tmp_path / "digits" / name
    with file.open("wb") as sparse:
        sparse.truncate(8 << 30)
    for path in {file, file.parent if name == "config.pbtxt" else file}:
        outcome = tritonctl(capsys, "lint", path)
        assert outcome.code == 1
        assert "is larger than" in outcome.out
    if name == "object.yaml":
        assert tritonctl(capsys, "render", "-f", file).code == 2


@pytest.mark.parametrize("name", ["config.pbtxt", "1/model.pt", "encryption.json", "model.sig"])
@pytest.mark.parametrize("of", ["pipe", "device"])
def test_a_pipe_in_the_place_of_a_file_does_not_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, of: str
) -> None:
    """A reader would wait until somebody writes; the time limit of pytest detects it."""
    write(tmp_path / "digits" / "1" / "model.pt", an_archive(("data.pkl", CLASS), CONSTANTS))
    file = tmp_path / "digits" / name
    file.unlink(missing_ok=True)
    os.mkfifo(file) if of == "pipe" else file.symlink_to("/dev/zero")
    assert tritonctl(capsys, "lint", tmp_path).code in {0, 1}


def test_aliases_of_aliases_end_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "laughs.yaml"
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    file.write_text("\n".join(lines))
    assert "with its aliases it has more than" in tritonctl(capsys, "lint", file).out
    assert "with its aliases it has more than" in tritonctl(capsys, "render", "-f", file).err
    file.write_text("[" * 5000)
    assert "nested more than" in tritonctl(capsys, "lint", file).out
