"""Check the code in a TorchScript file, and read the arguments of forward().

Input: the archive. Output: the arguments, and Findings with line numbers: those of the scan, which `prepare` makes as
well, and some of its own. torch stores code as text in `code/`, so it can be checked without being executed.
"""

from __future__ import annotations

import itertools
import pickletools
import re
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.cli.lint.finding import Finding, error, warning
from triton_operator.scan.code import CODE_LIMIT, check_text, read_code
from triton_operator.triton.model_file.archive import Archive, ArchiveError

_PICKLE_START, _PICKLE_OPERATIONS = 1 << 20, 1000
"""How much of data.pkl is read; the class is at the start."""
_MOST_FINDINGS = 100
"""Maximum number of findings per archive."""

_TELLING = ("print(", "torch.device(", "ops.torchvision.")
"""Every line with a finding contains one of these."""
_PRINTS = re.compile(r"(?<![\w.])print\(")
_DEVICE = re.compile(r"torch\.device\(\"(cuda[^\"]*)\"\)")
_TORCHVISION = re.compile(r"(?<![\w.])ops\.torchvision\.(\w+)\(")
_CLASS = re.compile(r"^class (\w+)\(Module\):\n", re.MULTILINE)
_FORWARD, _RESULT, _FORWARD_END = "  def forward(", ") -> ", ":\n"
_ARGUMENT = re.compile(r"\s*(?P<name>\w+): (?P<kind>.+?)(?P<default>=.*)?,?")


class ForwardArgument(NamedTuple):
    """One argument of forward(), without `self`; `kind` is its TorchScript type."""

    name: str
    kind: str
    has_default: bool


def read_arguments(archive: Archive) -> list[ForwardArgument] | None:
    """The arguments of the model's forward(), without `self`, which may have another name; None if unreadable."""
    arguments = _read_forward(archive)[0].partition(",\n")
    found = [_ARGUMENT.fullmatch(line) for line in arguments[2].splitlines() if line.strip()]
    if not arguments[0] or not all(found):
        return None
    return [ForwardArgument(each["name"], each["kind"], bool(each["default"])) for each in found if each]


def read_result(archive: Archive) -> str:
    """The TorchScript type of what the model's forward() returns; "" if it cannot be read."""
    return _read_forward(archive)[1]


def _read_forward(archive: Archive) -> tuple[str, str]:
    try:
        path, name = _top_class(archive).rsplit(".", 1)
        code = archive.read(f"code/{path.replace('.', '/')}.py", CODE_LIMIT)
    except (ArchiveError, ValueError):
        return "", ""
    return _forward_of(name, code.decode(errors="replace")) if code else ("", "")


def _forward_of(name: str, code: str) -> tuple[str, str]:
    """The text of forward()'s arguments, and of its result.

    This does not use one regular expression, because its time would grow quadratically with the length of a line.
    """
    begins = [found.end() for found in _CLASS.finditer(code) if found[1] == name]
    if not begins:
        return "", ""
    end_of_class = code.find("\nclass ", begins[-1])
    body = code[begins[-1] : end_of_class if end_of_class >= 0 else len(code)]
    begin = body.find(_FORWARD)
    end = body.find(_RESULT, begin)
    if min(begin, end) < 0:
        return "", ""
    result = body[end + len(_RESULT) : body.find(_FORWARD_END, end)]
    return body[begin + len(_FORWARD) : end], result


def check_code(archive: Archive, shown: str) -> Iterator[Finding]:
    """Check every line of the code; only the first findings are reported."""
    findings = _check_files(archive, shown)
    yield from itertools.islice(findings, _MOST_FINDINGS)
    if next(findings, None):
        yield warning(shown, "", f"has more than {_MOST_FINDINGS} findings; only the first are shown")


def _check_files(archive: Archive, shown: str) -> Iterator[Finding]:
    for code in read_code(archive):
        file = f"{shown}:{code.name}"
        if code.problem:
            yield error(file, "", code.problem, "export the model again")
        for found in check_text(code.text):
            yield error(file, f"line {found.line}", found.message, found.advice)
        if any(word in code.text for word in _TELLING):
            for number, line in enumerate(code.text.splitlines(), 1):
                yield from _check_line(line, file, f"line {number}")


def _check_line(line: str, file: str, place: str) -> Iterator[Finding]:
    if _PRINTS.search(line):
        yield warning(
            file, place, "prints to the server's log, which may expose requests", "remove the print statement"
        )
    if device := _DEVICE.search(line):
        advice = "script the module instead of tracing it, or use the device of an input"
        yield warning(file, place, f"uses the fixed device {device[1]}", advice)
    for operator in _TORCHVISION.finditer(line):
        message = f"uses torchvision::{operator[1]}, which is in NVIDIA's images but not in the CPU image"
        yield warning(file, place, message, "use an image whose PyTorch backend includes torchvision")


def _top_class(archive: Archive) -> str:
    """The full name of the model's class: the first global in data.pkl, which is parsed but not unpickled."""
    data = archive.read_start("data.pkl", _PICKLE_START) or b""
    for operation, argument, _ in itertools.islice(pickletools.genops(data), _PICKLE_OPERATIONS):
        if operation.name == "GLOBAL":
            return ".".join(str(argument).split(" "))
    raise ValueError("data.pkl names no class")
