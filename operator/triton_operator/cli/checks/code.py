"""The program inside a TorchScript file, read as text: what it takes, and what no model should do.

Enters: the archive. Leaves: the arguments of forward(), and Findings with line numbers. A TorchScript file is a
program that may write files; torch writes it as text into `code/`, so it can be read without being run.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.cli.checks.finding import Finding, error, warning
from triton_operator.triton.torchscript import Archive, ArchiveError

_CODE_LIMIT = 8 << 20
_PICKLE_LIMIT = 64 << 20

_BUILT_IN = frozenset({"aten", "prim", "prims", "quantized", "_quantized", "sparse", "mkldnn", "inductor", "profiler"})
"""Namespaces of operators that come with torch itself; most of `aten` is written without one."""

_WRITES = re.compile(r"\b(?:torch\.save|ops\.aten\.save)\(")
_OPENS = re.compile(r"\b(?:torch\.from_file|ops\.aten\.from_file)\(")
_PRINTS = re.compile(r"(?<![\w.])print\(")
_DEVICE = re.compile(r"torch\.device\(\"(cuda[^\"]*)\"\)")
_OPERATOR = re.compile(r"\bops\.(\w+)\.(\w+)\(")
_CUSTOM_CLASS = re.compile(r"\b__torch__\.torch\.classes\.(\w+)\.(\w+)")
_FORWARD = re.compile(r"  def forward\(self: [^,)\n]+(?:,\n)?(?P<arguments>(?:    [^\n]*\n)*?[^\n]*?)\) -> ")
_ARGUMENT = re.compile(r"\s*(?P<name>\w+): (?P<kind>.+?)(?P<default>=.*)?,?")


class Argument(NamedTuple):
    """One argument of forward(), without `self`; `kind` as TorchScript writes the type."""

    name: str
    kind: str
    has_default: bool


def read_arguments(archive: Archive) -> list[Argument] | None:
    """The arguments of the model's forward(); None where the archive does not say them in the way torch does."""
    try:
        path, name = _top_class(archive).rsplit(".", 1)
        code = archive.read(f"code/{path.replace('.', '/')}.py", _CODE_LIMIT)
    except (ArchiveError, ValueError):
        return None
    if code is None:
        return None
    body = re.split(rf"^class {re.escape(name)}\(Module\):\n", code.decode(errors="replace"), flags=re.MULTILINE)
    found = _FORWARD.search(body[-1].split("\nclass ")[0]) if len(body) > 1 else None
    if not found:
        return None
    arguments = [_ARGUMENT.fullmatch(line) for line in found["arguments"].splitlines() if line.strip()]
    if not all(arguments):
        return None
    return [Argument(each["name"], each["kind"], bool(each["default"])) for each in arguments if each]


def check_code(archive: Archive, shown: str) -> Iterator[Finding]:
    """Look through every line of the program."""
    for name in archive.names:
        if not (name.startswith("code/") and name.endswith(".py")):
            continue
        file = f"{shown}:{name}"
        try:
            code = archive.read(name, _CODE_LIMIT) or b""
        except ArchiveError as problem:
            yield error(file, "", str(problem), "export the model again")
            continue
        for number, line in enumerate(code.decode(errors="replace").splitlines(), 1):
            yield from _check_line(line, file, f"line {number}")


def _check_line(line: str, file: str, place: str) -> Iterator[Finding]:
    if _WRITES.search(line):
        yield error(file, place, "writes a file whenever it is called (torch.save)", "remove it and export again")
    if _OPENS.search(line):
        yield error(file, place, "opens a file of the server (torch.from_file)", "make the data a buffer of the module")
    if _PRINTS.search(line):
        yield warning(file, place, "prints to the server's log, where requests should not be seen", "remove the print")
    if device := _DEVICE.search(line):
        advice = "script the module instead of tracing it, or take the device from an input"
        yield warning(file, place, f"is bound to the device {device[1]}", advice)
    for operator in _OPERATOR.finditer(line):
        yield from _check_operator(operator[1], operator[2], file, place)
    for found in _CUSTOM_CLASS.finditer(line):
        if found[1] not in _BUILT_IN:
            yield error(file, place, f"uses the custom class {found[1]}::{found[2]}", _CUSTOM)


_CUSTOM = "no Triton image has it: write it with torch's own operators, or build an image that loads its library"


def _check_operator(namespace: str, name: str, file: str, place: str) -> Iterator[Finding]:
    if namespace == "torchvision":
        message = f"uses {namespace}::{name}, which NVIDIA's images have and the CPU image has not"
        yield warning(file, place, message, "serve it with an image whose PyTorch backend has torchvision")
    elif namespace not in _BUILT_IN:
        yield error(file, place, f"uses the custom operator {namespace}::{name}", _CUSTOM)


def _top_class(archive: Archive) -> str:
    """Full name of the model's class: the first global of data.pkl, which is looked at and not unpickled."""
    data = archive.read("data.pkl", _PICKLE_LIMIT) or b""
    for operation, argument, _ in pickletools.genops(data):
        if operation.name == "GLOBAL":
            return ".".join(str(argument).split(" "))
    raise ValueError("data.pkl names no class")
