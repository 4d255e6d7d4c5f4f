"""The end of Triton's log, read for what went wrong.

The kubelet keeps the last 2048 bytes of a failed container's log, cut anywhere in front; a list of failures leaves,
the most telling first, each with the condition reason that it stands for. `reconcile` puts them into conditions. The
sentences are those of server 2.51 (24.10) as seen, compared with the sources of 2.71; of what is not recognised,
`last_lines` gives the end.
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
    """A model that Triton refused, in Triton's words; `version` is "" when no version was reached."""

    model: str
    version: str
    message: str
    reason: str = Reason.MODEL_LOAD_FAILED


class ServerFailure(Struct, frozen=True):
    """The server ended for another cause; `model` is set when it is the process of one model."""

    message: str
    model: str = ""
    reason: str = Reason.CRASHED


Failure: TypeAlias = LoadFailure | ServerFailure

MESSAGE_LIMIT = 600
"""Characters of one failure's message."""

LAST_LINES = 5
"""Lines that are shown when none of them is known to tell more than the others."""

_HEADER = re.compile(r"(?:[EWIF]\d{4} [\d:.]+ +\d+ |\d{4}-\S+Z [EWIF] \d+ )\S+:\d+\] *")
"""Start of a line in Triton's two log formats."""

_WARMUP = re.compile(r"warmup sample|warm-up of model '|^[\w ]+: \[request id: |/warmup/")
"""A request within a start can only be the warm-up's."""
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
"""What the dependency graph says of an ensemble that does not fit its steps (core, model_repository_manager.cc and
ensemble_utils.cc). The line names the ensemble only inside the sentence."""

_MISSING_VERSION = re.compile(r"whose required version -?\d+ is not loaded")
_FAILED_STEP = re.compile(r"' which (?:is not valid|has no loaded version)")

_CONFIG_PARSE = re.compile(r"Error parsing text-format \S+: (?P<line>\d+):(?P<column>\d+): (?P<message>.+)")
_NO_FIELD = re.compile(r'has no field named "(?P<field>\w+)"')
_DIED = re.compile(r"model process of '(?P<model>[^']*)' died: (?P<how>.+)")
"""Printed by the CPU image's entrypoint, which ends the container when a model's process dies."""

_SERVICE = re.compile(r"(?P<message>failed to start \w+ service: .+)")
_CREATE = re.compile(r"^error: creating server: (?P<message>.+)")
_WARMUP_DEATH = re.compile(r"warm-up of model '(?P<model>[^']+)' version (?P<version>\d+) failed: (?P<message>.+)")
"""Printed by the CPU image's backend, because this Triton may crash before it says so."""
_UNKNOWN_FLAG = re.compile(r"unrecognized option '(?P<flag>[^']+)'")
_USAGE = re.compile(r"\s+--[a-z][a-z-]+ <|\s+DEPRECATED: Please use --")
_USAGE_LINES = 2
"""One alone may stand in any text."""
_SIGNAL = re.compile(r"Signal \((?P<number>\d+)\) received")
_ORDERLY_SIGNALS = {"2", "15"}

_TRACE = re.compile(r"\n\s*(?:At:\n|Exception raised from |[Ff]rame #0|Stack trace)")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n.*\n(?=\S)", re.DOTALL)

_UNKNOWN_ARGUMENT = "Triton does not support one of its arguments and did not report which one"
_ALL_FAILED = "failed to load all models"

ALL_FAILED = ServerFailure(
    f"{_ALL_FAILED}; the reasons are further up in the server's log", reason=Reason.MODEL_LOAD_FAILED
)
"""What is left to say of a log whose beginning, with the reasons, was cut off."""


def read_server(text: str) -> list[Failure]:
    """What a person should read about a server that ended, best sentence first; empty where none is recognised."""
    reading = _Reading()
    lines = text.split("\n")
    for line in lines:
        reading.add(_content(line))
    return [_escaped(failure) for failure in reading.failures() or _usage(lines)]


def _escaped(failure: Failure) -> Failure:
    """The message is escaped already; a model's name is the name of a folder."""
    return msgspec.structs.replace(failure, model=escape(failure.model))


def last_lines(text: str) -> str:
    """The last few lines without their headers, as one; "" for an empty text."""
    lines = [content for line in text.split("\n") if (content := " ".join(_content(line).split()))]
    return readable(" / ".join(lines[-LAST_LINES:]))


class _Reading:
    """Findings so far, kept by how much they tell."""

    def __init__(self) -> None:
        self._killed: list[Failure] = []
        self._loads: dict[tuple[str, str], Failure] = {}
        self._ensembles: dict[str, Failure] = {}
        self._others: list[Failure] = []
        self._last: list[Failure] = []
        self._config_error = ""
        self._warmups: dict[str, Failure] = {}

    def add(self, content: str) -> None:
        """Take in one line."""
        if found := _CONFIG_PARSE.search(content):
            said = f"line {found['line']}, column {found['column']}: {found['message']}"
            newer = _NO_FIELD.search(content)
            since = SINCE.get(newer["field"]) if newer else None
            self._config_error = f"{said} The field requires Triton {since} or newer" if since else said
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
            told = f"warm-up failed: {found['message']}"
            self._warmups.setdefault(
                found["model"], LoadFailure(found["model"], found["version"], readable(told), Reason.WARMUP_FAILED)
            )
        elif found := _DIED.search(content):
            self._add_death(found["model"], found["how"].strip())
        else:
            self._add_other(content)

    def failures(self) -> list[Failure]:
        """A killed model process comes first, because a load that fails with it is its consequence.

        An ensemble comes after the models, because it also fails if one of its steps does.
        """
        loads = [*self._loads.values(), *self._ensembles.values()]
        found = [*self._killed, *self._warmups.values(), *loads, *self._others]
        return list(dict.fromkeys(found)) or self._last

    def _add_load(self, model: str, version: str, message: str, reason: str) -> None:
        """The better half of some stands one line earlier: protobuf's place in a file, the backend's shapes."""
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
        """That all models failed is said after the reasons; alone it means that those were cut off."""
        if _ALL_FAILED in message:
            self._last = [ALL_FAILED]
        else:
            self._others.append(ServerFailure(f"creating server: {readable(message)}"))


def readable(message: str) -> str:
    """One line without stack traces, of at most MESSAGE_LIMIT characters that can all be printed."""
    message = _TRACEBACK.sub("", message)
    trace = _TRACE.search(message)
    if trace:
        message = message[: trace.start()]
    line = escape(" ".join(message.split()))
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


def _load_reason(message: str) -> str:
    """Of some failures to load a model it is known what they mean."""
    if _WARMUP.search(message):
        return Reason.WARMUP_FAILED
    if _NO_BACKEND.search(message):
        return Reason.UNSUPPORTED_BY_IMAGE
    return Reason.MODEL_VERSION_NOT_FOUND if _VERSION_POLICY in message else Reason.MODEL_LOAD_FAILED


def _ensemble_reason(message: str) -> str:
    """A step that did not load is a consequence, everything else is a contradiction between configurations."""
    if _MISSING_VERSION.search(message):
        return Reason.MODEL_VERSION_NOT_FOUND
    return Reason.MODEL_LOAD_FAILED if _FAILED_STEP.search(message) else Reason.CONFIG_INVALID


def _usage(lines: list[str]) -> list[Failure]:
    """What Triton says about its arguments.

    Of a bad value it tells after its usage, of one that it does not know in front of it; and that is 19 KB long, so the
    name is cut off.
    """
    if sum(1 for line in lines if _USAGE.match(line)) < _USAGE_LINES:
        return []
    end = max(index for index, line in enumerate(lines) if line.startswith("\t"))
    told = readable("\n".join(lines[end + 1 :]))
    message = f"Triton rejects its arguments: {told}" if told else _UNKNOWN_ARGUMENT
    return [ServerFailure(message, reason=Reason.SERVER_ARGUMENT_INVALID)]
