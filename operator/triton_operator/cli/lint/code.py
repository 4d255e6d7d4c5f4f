"""Check the code in a TorchScript file, and read the arguments of forward().

Input: the archive. Output: the arguments, and Findings with line numbers. TorchScript code can write files. torch
stores it as text in `code/`, so it can be checked without being executed.
"""

from __future__ import annotations

import itertools
import pickletools
import re
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.cli.lint.finding import Finding, error, warning
from triton_operator.triton.model_file.archive import Archive, ArchiveError

_CODE_LIMIT = 8 << 20
"""Maximum size of one file of code, in bytes; a BERT model has 0.2 MB."""
_ALL_CODE_LIMIT = 32 << 20
"""Maximum size of all code in an archive, in bytes, as protection against decompression bombs."""
_PICKLE_START, _PICKLE_OPERATIONS = 1 << 20, 1000
"""How much of data.pkl is read; the class is at the start."""
_MOST_FINDINGS = 100
"""Maximum number of findings per archive."""

_BUILT_IN = frozenset(
    [
        "_c10d_functional",
        "_c10d_functional_autograd",
        "_dtensor",
        "_native",
        "_native_aot",
        "_quantized",
        "_test",
        "aten",
        "c10d",
        "coor",
        "cuda",
        "debug_mode_ops",
        "debugprims",
        "export",
        "flex_gemm",
        "fsdp",
        "inductor",
        "inductor_prims",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "onnx",
        "prepacked",
        "prim",
        "prims",
        "profiler",
        "quantization",
        "quantized",
        "rngprims",
        "sparse",
        "static_runtime",
        "symm_mem",
        "xnnpack",
    ]
)
"""Namespaces of torch's own operators; most operators of `aten` are written without a namespace.

The list is from `torch._C._jit_get_all_schemas()` in 2.15, with the namespaces for mobile devices of 2.5 to 2.14.
"""

_BUILT_IN_CLASSES = frozenset(
    [
        "_nnapi",
        "aten",
        "backendutils",
        "c10d",
        "cuda",
        "dist_rpc",
        "mkldnn",
        "profiler",
        "profiling",
        "quantized",
        "rnn",
        "sparse",
        "xnnpack",
    ]
)
"""Namespaces of torch's own `torch.classes`; every dynamically quantized LSTM uses `rnn`."""

_TELLING = ("torch.save(", "torch.from_file(", "print(", "torch.device(", "ops.", "torch.classes.")
"""Every line with a finding contains one of these."""
_WRITES = re.compile(r"\b(?:torch\.save|ops\.aten\.save)\(")
_OPENS = re.compile(r"\b(?:torch\.from_file|ops\.aten\.from_file)\(")
_PRINTS = re.compile(r"(?<![\w.])print\(")
_DEVICE = re.compile(r"torch\.device\(\"(cuda[^\"]*)\"\)")
_OPERATOR = re.compile(r"(?<![\w.])ops\.(\w+)\.(\w+)\(")
_CUSTOM_CLASS = re.compile(r"\b__torch__\.torch\.classes\.(\w+)\.(\w+)")
_CLASS = re.compile(r"^class (\w+)\(Module\):\n", re.MULTILINE)
_FORWARD, _FORWARD_END = "  def forward(", ") -> "
_ARGUMENT = re.compile(r"\s*(?P<name>\w+): (?P<kind>.+?)(?P<default>=.*)?,?")


class ForwardArgument(NamedTuple):
    """One argument of forward(), without `self`; `kind` is its TorchScript type."""

    name: str
    kind: str
    has_default: bool


def read_arguments(archive: Archive) -> list[ForwardArgument] | None:
    """The arguments of the model's forward(); None if they cannot be read."""
    try:
        path, name = _top_class(archive).rsplit(".", 1)
        code = archive.read(f"code/{path.replace('.', '/')}.py", _CODE_LIMIT)
    except (ArchiveError, ValueError):
        return None
    if code is None:
        return None
    arguments = _forward_of(name, code.decode(errors="replace"))
    found = [_ARGUMENT.fullmatch(line) for line in arguments or [] if line.strip()]
    if arguments is None or not all(found):
        return None
    return [ForwardArgument(each["name"], each["kind"], bool(each["default"])) for each in found if each]


def _forward_of(name: str, code: str) -> list[str] | None:
    """The lines with forward()'s arguments, without `self`, which comes first and may have another name.

    This does not use one regular expression, because its time would grow quadratically with the length of a line.
    """
    begins = [found.end() for found in _CLASS.finditer(code) if found[1] == name]
    if not begins:
        return None
    end_of_class = code.find("\nclass ", begins[-1])
    body = code[begins[-1] : end_of_class if end_of_class >= 0 else len(code)]
    begin = body.find(_FORWARD)
    end = body.find(_FORWARD_END, begin)
    if min(begin, end) < 0:
        return None
    return body[begin + len(_FORWARD) : end].partition(",\n")[2].splitlines()


def check_code(archive: Archive, shown: str) -> Iterator[Finding]:
    """Check every line of the code; only the first findings are reported."""
    findings = _check_files(archive, shown)
    yield from itertools.islice(findings, _MOST_FINDINGS)
    if next(findings, None):
        yield warning(shown, "", f"has more than {_MOST_FINDINGS} findings; only the first are shown")


def _check_files(archive: Archive, shown: str) -> Iterator[Finding]:
    left = _ALL_CODE_LIMIT
    for name in archive.names:
        if not (name.startswith("code/") and name.endswith(".py")):
            continue
        file = f"{shown}:{name}"
        try:
            code = archive.read(name, min(_CODE_LIMIT, left)) or b""
        except ArchiveError as problem:
            yield error(file, "", str(problem), "export the model again")
            continue
        left -= len(code)
        text = code.decode(errors="replace")
        if any(word in text for word in _TELLING):
            for number, line in enumerate(text.splitlines(), 1):
                yield from _check_line(line, file, f"line {number}")


def _check_line(line: str, file: str, place: str) -> Iterator[Finding]:
    if _WRITES.search(line):
        yield error(file, place, "writes a file on every call (torch.save)", "remove it and export again")
    if _OPENS.search(line):
        yield error(
            file, place, "opens a file on the server (torch.from_file)", "store the data in a buffer of the module"
        )
    if _PRINTS.search(line):
        yield warning(
            file, place, "prints to the server's log, which may expose requests", "remove the print statement"
        )
    if device := _DEVICE.search(line):
        advice = "script the module instead of tracing it, or use the device of an input"
        yield warning(file, place, f"uses the fixed device {device[1]}", advice)
    for operator in _OPERATOR.finditer(line):
        yield from _check_operator(operator[1], operator[2], file, place)
    for found in _CUSTOM_CLASS.finditer(line):
        if found[1] not in _BUILT_IN_CLASSES:
            yield error(file, place, f"uses the custom class {found[1]}::{found[2]}", _CUSTOM)


_CUSTOM = "no Triton image contains it: use torch's own operators, or build an image that loads its library"


def _check_operator(namespace: str, name: str, file: str, place: str) -> Iterator[Finding]:
    if namespace == "torchvision":
        message = f"uses {namespace}::{name}, which is in NVIDIA's images but not in the CPU image"
        yield warning(file, place, message, "use an image whose PyTorch backend includes torchvision")
    elif namespace not in _BUILT_IN:
        yield error(file, place, f"uses the custom operator {namespace}::{name}", _CUSTOM)


def _top_class(archive: Archive) -> str:
    """The full name of the model's class: the first global in data.pkl, which is parsed but not unpickled."""
    data = archive.read_start("data.pkl", _PICKLE_START) or b""
    for operation, argument, _ in itertools.islice(pickletools.genops(data), _PICKLE_OPERATIONS):
        if operation.name == "GLOBAL":
            return ".".join(str(argument).split(" "))
    raise ValueError("data.pkl names no class")
