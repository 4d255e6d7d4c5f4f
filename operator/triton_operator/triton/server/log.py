"""Find the causes of a failed start at the end of Triton's log.

Input: the last 2048 bytes of a failed container's log, which the kubelet keeps; the first line may be incomplete.
Output: a list of failures, the most relevant first, each with its condition reason. `reconcile` writes them to
conditions. The patterns match observed messages of server 2.51 (24.10) and were compared with the sources of 2.71. If
no pattern matches, `last_lines` returns the end of the log.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.struct import Struct
from triton_operator.api.text import escape
from triton_operator.triton.config.fields import SINCE


class LoadFailure(Struct, frozen=True):
    """A model that Triton did not load, with Triton's message; `version` is "" if loading failed before any version."""

    model: str
    version: str
    message: str
    reason: str = Reason.MODEL_LOAD_FAILED


class ServerFailure(Struct, frozen=True):
    """Another cause of the server's termination; `model` is set if the process of one model caused it."""

    message: str
    model: str = ""
    reason: str = Reason.CRASHED


Failure: TypeAlias = LoadFailure | ServerFailure

MESSAGE_LIMIT = 600
"""Maximum length of a failure's message in characters."""

LAST_LINES = 5
"""Number of lines that are shown if no pattern matches."""

_HEADER = re.compile(r"(?:[EWIF]\d{4} [\d:.]+ +\d+ |\d{4}-\S+Z [EWIF] \d+ )\S+:\d+\] *")
"""Start of a line in Triton's two log formats."""

_WARMUP = re.compile(r"warmup sample|warm-up of model '|^[\w ]+: \[request id: |/warmup/")
"""Errors of a warm-up; during startup, every request is a warm-up."""
_NO_BACKEND = re.compile(r"unable to find (?:backend library for backend )?'")
_VERSION_POLICY = "at least one version must be available under the version policy"
_LOAD = re.compile(r"failed to load '(?P<model>[^']+)' version (?P<version>-?\d+): (?P<message>.+)", re.DOTALL)
_POLL = re.compile(r"Poll failed for model directory '(?P<model>[^']+)': (?P<message>.+)", re.DOTALL)
_NO_VERSION = re.compile(r"failed to load model '(?P<model>[^']+)': (?P<message>.+)", re.DOTALL)
_OF_ENSEMBLE = re.compile(
    r"^(?:[A-Z][\w ]*: )?(?P<message>"
    r"in ensemble (?P<mapping>.+?), (?:ensemble tensor|input|step of model|multiple outputs) .+"
    r"|ensemble (?P<limit>.+?) (?:allows maximum batch size|contains models that are not available) ?.+"
    r"|ensemble '(?P<step>[^']+)' depends on '.+"
    r"|circular dependency between ensembles: (?P<circle>.+?) -> .+)",
    re.DOTALL,
)
"""Messages of the dependency graph for an ensemble that does not match its steps (core, model_repository_manager.cc and
ensemble_utils.cc). The name of the ensemble is inside the message only."""

_MISSING_VERSION = re.compile(r"whose required version -?\d+ is not loaded")
_FAILED_STEP = re.compile(r"' which (?:is not valid|has no loaded version)")

_CONFIG_PARSE = re.compile(r"Error parsing text-format \S+: (?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
_NO_FIELD = re.compile(r'has no field named "(?P<field>\w+)"')
_DIED = re.compile(r"model process of '(?P<model>[^']*)' died: (?P<how>.+)")
"""The CPU image's entrypoint prints this and terminates the container if a model's process dies."""

_SERVICE = re.compile(r"(?P<message>failed to start \w+ service: .+)")
_CREATE = re.compile(r"^error: creating server: (?P<message>.+)")
_WARMUP_DEATH = re.compile(r"warm-up of model '(?P<model>[^']+)' version (?P<version>\d+) failed: (?P<message>.+)")
"""The CPU image's backend prints this, because its Triton may crash before it reports the error."""
_UNKNOWN_FLAG = re.compile(r"unrecognized option '(?P<flag>[^']+)'")
_USAGE = re.compile(r"\s+--[a-z][a-z-]+ <|\s+DEPRECATED: Please use --")
_USAGE_LINES = 2
"""Minimum number of matching lines; a single one may occur in other text."""
_SIGNAL = re.compile(r"Signal \((?P<number>\d+)\) received")
_ORDERLY_SIGNALS = {"2", "15"}

_TRACE = re.compile(r"\n\s*(?:At:\n|Exception raised from |[Ff]rame #0|Stack trace)")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n.*\n(?=\S)", re.DOTALL)

_UNKNOWN_ARGUMENT = "Triton does not support one of its arguments and did not report which one"
_ALL_FAILED = "failed to load all models"

ALL_FAILED = ServerFailure(f"{_ALL_FAILED}; see the server's log for the reasons", reason=Reason.MODEL_LOAD_FAILED)
"""The failure for a truncated log that no longer contains the reasons."""


def read_server(text: str) -> list[Failure]:
    """The failures of a server that terminated, the most relevant first; empty if no pattern matches."""
    reading = _Reading()
    lines = text.split("\n")
    for line in lines:
        reading.add(_content(line))
    return [_escaped(failure) for failure in reading.failures() or _usage(lines)]


def _escaped(failure: Failure) -> Failure:
    """Escape the model's name, which is the name of a folder; the message is escaped already."""
    return msgspec.structs.replace(failure, model=escape(failure.model))


def last_lines(text: str) -> str:
    """The last LAST_LINES lines without headers, joined into one; "" for an empty text."""
    lines = [content for line in text.split("\n") if (content := " ".join(_content(line).split()))]
    return readable(" / ".join(lines[-LAST_LINES:]))


class _Reading:
    """Collects failures from the lines of a log, grouped by relevance."""

    def __init__(self) -> None:
        self._killed: list[Failure] = []
        self._loads: dict[tuple[str, str], Failure] = {}
        self._ensembles: dict[str, Failure] = {}
        self._others: list[Failure] = []
        self._last: list[Failure] = []
        self._config_error = ""
        self._warmups: dict[str, Failure] = {}

    def add(self, content: str) -> None:
        """Add one line of the log."""
        if found := _CONFIG_PARSE.search(content):
            error = f"line {found['line']}, column {found['column']}: {found['message']}"
            newer = _NO_FIELD.search(content)
            since = SINCE.get(newer["field"]) if newer else None
            self._config_error = f"{error} The field requires Triton {since} or newer" if since else error
        elif found := _LOAD.search(content):
            self._add_load(found["model"], found["version"], found["message"], _load_reason(found["message"]))
        elif found := _POLL.search(content):
            self._add_load(found["model"], "", found["message"], Reason.CONFIG_INVALID)
        elif found := _NO_VERSION.search(content):
            self._add_load(found["model"], "", found["message"], _load_reason(found["message"]))
        elif found := _OF_ENSEMBLE.search(content):
            model = found["mapping"] or found["limit"] or found["step"] or found["circle"]
            failure = LoadFailure(model, "", readable(found["message"]), _ensemble_reason(found["message"]))
            self._ensembles.setdefault(model, failure)
        elif found := _WARMUP_DEATH.search(content):
            message = readable(f"warm-up failed: {found['message']}")
            self._warmups.setdefault(
                found["model"], LoadFailure(found["model"], found["version"], message, Reason.WARMUP_FAILED)
            )
        elif found := _DIED.search(content):
            self._add_death(found["model"], found["how"].strip())
        else:
            self._add_other(content)

    def failures(self) -> list[Failure]:
        """The failures: killed model processes first, because they cause load failures, and ensembles after models.

        An ensemble also fails if the model of a step fails.
        """
        loads = [*self._loads.values(), *self._ensembles.values()]
        found = [*self._killed, *self._warmups.values(), *loads, *self._others]
        return list(dict.fromkeys(found)) or self._last

    def _add_load(self, model: str, version: str, message: str, reason: str) -> None:
        """Add a load failure; an earlier line may have the position in the file, or the details of a warm-up."""
        if self._config_error and "failed to read text proto" in message:
            message, self._config_error = f"{message}: {self._config_error}", ""
        if reason == Reason.WARMUP_FAILED and model in self._warmups:
            return
        self._loads.setdefault((model, version), LoadFailure(model, version, readable(message), reason))

    def _add_death(self, model: str, how: str) -> None:
        failure = ServerFailure(f"the process of model '{model}' died: {readable(how)}", model)
        (self._killed if how.startswith("signal") else self._others).append(failure)

    def _add_other(self, content: str) -> None:
        if found := _SERVICE.search(content):
            self._others.append(ServerFailure(readable(found["message"])))
        elif found := _UNKNOWN_FLAG.search(content):
            message = f"this Triton release does not support the argument {found['flag']}"
            self._others.append(ServerFailure(readable(message), reason=Reason.SERVER_ARGUMENT_INVALID))
        elif found := _CREATE.search(content):
            self._add_create(found["message"])
        elif (found := _SIGNAL.search(content)) and found["number"] not in _ORDERLY_SIGNALS:
            self._others.append(ServerFailure(f"Triton crashed with signal {found['number']}"))

    def _add_create(self, message: str) -> None:
        """Triton prints that all models failed after the reasons; without reasons, the log was truncated."""
        if _ALL_FAILED in message:
            self._last = [ALL_FAILED]
        else:
            self._others.append(ServerFailure(f"creating server: {readable(message)}"))


def readable(message: str) -> str:
    """The message in one line of at most MESSAGE_LIMIT printable characters, without stack traces."""
    message = _TRACEBACK.sub("", message)
    trace = _TRACE.search(message)
    if trace:
        message = message[: trace.start()]
    line = escape(" ".join(message.split()))
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _content(line: str) -> str:
    """The content of a line without its header; newer servers write it as a JSON string, which has no line breaks."""
    header = _HEADER.match(line)
    content = line[header.end() :] if header else line
    if header and content.startswith('"'):
        try:
            return str(json.loads(content.rstrip()))
        except ValueError:
            return content
    return content


def _load_reason(message: str) -> str:
    """The condition reason for the message of a load failure."""
    if _WARMUP.search(message):
        return Reason.WARMUP_FAILED
    if _NO_BACKEND.search(message):
        return Reason.UNSUPPORTED_BY_IMAGE
    return Reason.MODEL_VERSION_NOT_FOUND if _VERSION_POLICY in message else Reason.MODEL_LOAD_FAILED


def _ensemble_reason(message: str) -> str:
    """The condition reason for an ensemble: a step that failed to load, or contradictory configurations."""
    if _MISSING_VERSION.search(message):
        return Reason.MODEL_VERSION_NOT_FOUND
    return Reason.MODEL_LOAD_FAILED if _FAILED_STEP.search(message) else Reason.CONFIG_INVALID


def _usage(lines: list[str]) -> list[Failure]:
    """The failure of a server that rejects its arguments.

    Triton reports an invalid value after its usage message, and an unknown argument before it. The usage message is
    19 KB long, so the name of an unknown argument is truncated from the log.
    """
    if sum(1 for line in lines if _USAGE.match(line)) < _USAGE_LINES:
        return []
    end = max(index for index, line in enumerate(lines) if line.startswith("\t"))
    error = readable("\n".join(lines[end + 1 :]))
    message = f"Triton rejects its arguments: {error}" if error else _UNKNOWN_ARGUMENT
    return [ServerFailure(message, reason=Reason.SERVER_ARGUMENT_INVALID)]
