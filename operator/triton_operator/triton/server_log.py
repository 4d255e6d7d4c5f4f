"""The end of Triton's log, read for what went wrong.

The kubelet keeps the last 2048 bytes of a failed container's log, cut anywhere in front; a list of failures leaves,
the most telling first. `reconcile` puts them into conditions. The sentences are those of server 2.51 (24.10) as seen,
compared with the sources of 2.71; what is not recognised is passed on as the log's last line.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from triton_operator.api.struct import Struct


class LoadFailure(Struct, frozen=True):
    """A model that Triton refused, in Triton's words; `version` is "" when no version was reached."""

    model: str
    version: str
    message: str


class ServerFailure(Struct, frozen=True):
    """The server ended for another cause; `model` is set when it is the process of one model."""

    message: str
    model: str = ""


Failure: TypeAlias = LoadFailure | ServerFailure

MESSAGE_LIMIT = 600
"""Characters of one failure's message."""

_HEADER = re.compile(r"(?:[EWIF]\d{4} [\d:.]+ +\d+ |\d{4}-\S+Z [EWIF] \d+ )\S+:\d+\] *")
"""Start of a line in Triton's two log formats."""

_LOAD = re.compile(r"failed to load '(?P<model>[^']+)' version (?P<version>-?\d+): (?P<message>.+)", re.DOTALL)
_POLL = re.compile(r"Poll failed for model directory '(?P<model>[^']+)': (?P<message>.+)", re.DOTALL)
_NO_VERSION = re.compile(r"failed to load model '(?P<model>[^']+)': (?P<message>.+)", re.DOTALL)
_CONFIG_PARSE = re.compile(r"Error parsing text-format \S+: (?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
_DIED = re.compile(r"model process of '(?P<model>[^']*)' died: (?P<how>.+)")
"""Printed by the CPU image's entrypoint, which ends the container when a model's process dies."""

_SERVICE = re.compile(r"(?P<message>failed to start \w+ service: .+)")
_CREATE = re.compile(r"^error: creating server: (?P<message>.+)")
_UNKNOWN_FLAG = re.compile(r"unrecognized option '(?P<flag>[^']+)'")
_BAD_FLAG = re.compile(r'Bad option: "(?P<flag>[^"]+)"')
_USAGE = re.compile(r"\s+--[a-z][a-z-]+ <|\s+DEPRECATED: Please use --")
_SIGNAL = re.compile(r"Signal \((?P<number>\d+)\) received")
_ORDERLY_SIGNALS = {"2", "15"}

_TRACE = re.compile(r"\n\s*(?:At:\n|Exception raised from |[Ff]rame #0|Stack trace)")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n.*\n(?=\S)", re.DOTALL)

_ALL_FAILED = "failed to load all models"
_VERSION_HINT = "does the image have the release that spec.triton.version says?"


def read_server(text: str) -> list[Failure]:
    """What a person should read about a server that ended, best sentence first; empty for an empty text."""
    reading = _Reading()
    lines = text.split("\n")
    for index, line in enumerate(lines):
        reading.add(_content(line), following=lines[index + 1] if index + 1 < len(lines) else "")
    return reading.failures() or _unrecognised(lines)


class _Reading:
    """Findings so far, kept by how much they tell."""

    def __init__(self) -> None:
        self._killed: list[Failure] = []
        self._loads: dict[tuple[str, str], Failure] = {}
        self._others: list[Failure] = []
        self._last: list[Failure] = []
        self._config_error = ""

    def add(self, content: str, following: str) -> None:
        """Take in one line; `following` is the next one, raw."""
        if found := _CONFIG_PARSE.search(content):
            self._config_error = f"line {found['line']}, column {found['column']}: {found['message']}"
        elif found := _LOAD.search(content):
            self._add_load(found["model"], found["version"], found["message"])
        elif found := _POLL.search(content) or _NO_VERSION.search(content):
            self._add_load(found["model"], "", found["message"])
        elif found := _DIED.search(content):
            self._add_death(found["model"], found["how"].strip())
        else:
            self._add_other(content, following)

    def failures(self) -> list[Failure]:
        """A killed model process comes first: a load that fails with it is its consequence."""
        return _unique([*self._killed, *self._loads.values(), *self._others]) or self._last

    def _add_load(self, model: str, version: str, message: str) -> None:
        """Triton names the unparsable file, protobuf the place in it, one line earlier."""
        if self._config_error and "failed to read text proto" in message:
            message, self._config_error = f"{message}: {self._config_error}", ""
        self._loads.setdefault((model, version), LoadFailure(model, version, readable(message)))

    def _add_death(self, model: str, how: str) -> None:
        failure = ServerFailure(f"the process of model '{model}' died: {readable(how)}", model)
        (self._killed if how.startswith("signal") else self._others).append(failure)

    def _add_other(self, content: str, following: str) -> None:
        if found := _SERVICE.search(content):
            self._others.append(ServerFailure(readable(found["message"])))
        elif found := _BAD_FLAG.search(content):
            self._others.append(ServerFailure(readable(f"Triton refuses its flag {found['flag']}: {following}")))
        elif found := _UNKNOWN_FLAG.search(content):
            self._others.append(ServerFailure(f"Triton does not know the flag {found['flag']}; {_VERSION_HINT}"))
        elif found := _CREATE.search(content):
            self._add_create(found["message"])
        elif (found := _SIGNAL.search(content)) and found["number"] not in _ORDERLY_SIGNALS:
            self._others.append(ServerFailure(f"Triton crashed with signal {found['number']}"))

    def _add_create(self, message: str) -> None:
        """That all models failed is said after the reasons; alone it means that those were cut off."""
        if _ALL_FAILED in message:
            self._last = [ServerFailure(f"creating server: {readable(message)} (the reasons are in the pod's log)")]
        else:
            self._others.append(ServerFailure(f"creating server: {readable(message)}"))


def readable(message: str) -> str:
    """One line without stack traces, of at most MESSAGE_LIMIT characters."""
    message = _TRACEBACK.sub("", message)
    trace = _TRACE.search(message)
    if trace:
        message = message[: trace.start()]
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _content(line: str) -> str:
    """A line without its header; newer servers write the rest as a JSON string, to keep it on one line."""
    header = _HEADER.match(line)
    content = line[header.end() :] if header else line
    if header and content.startswith('"'):
        try:
            return str(json.loads(content.rstrip()))
        except ValueError:
            return content
    return content


def _unrecognised(lines: list[str]) -> list[Failure]:
    if sum(1 for line in lines if _USAGE.match(line)) > 1:
        return [ServerFailure(f"Triton refuses one of its flags and printed its usage; {_VERSION_HINT}")]
    last = next((line for line in reversed(lines) if line.strip()), "")
    return [ServerFailure(readable(_content(last)))] if last else []


def _unique(failures: list[Failure]) -> list[Failure]:
    return list(dict.fromkeys(failures))
