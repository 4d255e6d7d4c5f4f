"""Check the user's additional arguments for Triton, `spec.triton.extraArgs`.

Input: the arguments and the server's release. Raises InvalidSpecError with the argument's path. `resources` calls it
before it renders a pod. Refused are flags that the operator sets, flags and options that open what the pod keeps
closed, and those that the release does not have: Triton ends on an unknown flag, and its usage of 40 KB hides which one
it was. A shortened name is refused too, because Triton's parser would take it for the whole one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.triton.server.extra_arg_options import complain_about_option
from triton_operator.triton.server.flags import Flag, own_flags
from triton_operator.triton.server.known_flags import KNOWN_FLAGS, LAST_READ
from triton_operator.triton.server.versions import Version

_FORM = re.compile(r"--(?P<name>[a-z0-9][a-z0-9-]*)=[^\x00-\x1f\x7f]+")
"""The value must be in the same argument: Triton would else take the next argument for it."""

_CODE = "it selects a folder from which code is loaded; add the code to the server's image"
_TRACE = "a trace can write requests to disk or send them away"
_HEADERS = "it passes the headers of clients, including their tokens, to models"
_TLS = "clients, probes and Services expect the plain ports; certificates belong to spec.privacy.tls"
_DOOR = "it configures an endpoint that bypasses the restricted APIs and stays disabled"
_FIXED_MODELS = "models are loaded once, at startup, from the files that `prepare` checked"
_LOGS = "spec.triton.logLevel sets it"
_NO_SERVER = "the server would print its usage and exit"

_REFUSED = {
    "backend-directory": _CODE,
    "cache-directory": _CODE,
    "repoagent-directory": _CODE,
    "grpc-header-forward-pattern": _HEADERS,
    "http-header-forward-pattern": _HEADERS,
    "grpc-root-cert": _TLS,
    "grpc-server-cert": _TLS,
    "grpc-server-key": _TLS,
    "grpc-use-ssl": _TLS,
    "grpc-use-ssl-mutual": _TLS,
    "grpc-max-connection-age-grace": "it interrupts longer calls; connections end without it",
    "help": _NO_SERVER,
    "load-model": _FIXED_MODELS,
    "model-config-name": "it selects another configuration than the one that was checked",
    "model-namespacing": _FIXED_MODELS,
    "model-store": _FIXED_MODELS,
    "repository-poll-secs": _FIXED_MODELS,
    "log-error": _LOGS,
    "log-info": _LOGS,
    "log-warning": _LOGS,
    "log-verbose": "its messages contain requests and memory addresses",
    "log-file": "the log of a failed start must reach the pod's status",
    "sagemaker-port": _DOOR,
    "sagemaker-safe-port-range": _DOOR,
    "sagemaker-thread-count": _DOOR,
    "vertex-ai-default-model": _DOOR,
    "vertex-ai-port": _DOOR,
    "vertex-ai-thread-count": _DOOR,
    "strict-model-config": "configurations are complete, and auto-completion starts each model twice",
    "trace-config": _TRACE,
    "trace-count": _TRACE,
    "trace-file": _TRACE,
    "trace-level": _TRACE,
    "trace-log-frequency": _TRACE,
    "trace-rate": _TRACE,
}

OVERRIDABLE = frozenset({"pinned-memory-pool-byte-size"})
"""Flags of ours that are a matter of tuning; where the user gives one, ours is left out."""


def refused_flags() -> dict[str, str]:
    """Every flag that a user may not give, with the reason; a flag of ours that a newer release brings included."""
    ours = {flag.name: f"the operator sets it: {flag.reason}" for flag in own_flags() if flag.name not in OVERRIDABLE}
    return ours | _REFUSED


def check_extra_args(arguments: Sequence[str], version: Version | None) -> None:
    """Raise InvalidSpecError for the first argument that this server must not or cannot get.

    With `version` None, and for a release that is newer than what is known here, a flag that is not in the table is let
    through: then only the server can say whether it has it.
    """
    for index, argument in enumerate(arguments):
        path = f"spec.triton.extraArgs[{index}]"
        name = _name(argument, path)
        _make_sure_it_is_allowed(name, path)
        _make_sure_it_is_written_out(name, path)
        _make_sure_the_server_has_it(name, version, path)
        _make_sure_its_options_are_allowed(name, argument, path)


def leave_out_given(flags: Sequence[Flag], arguments: Sequence[str]) -> list[Flag]:
    """The flags but those that the user gives; `arguments` have been checked."""
    given = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    return [flag for flag in flags if flag.name not in given]


def _name(argument: str, path: str) -> str:
    form = _FORM.fullmatch(argument)
    if form is None:
        raise _invalid(path, f"{argument!r} is not one flag with its value, such as --http-thread-count=16")
    if "$(" in argument:
        raise _invalid(path, "$( ) would be expanded by Kubernetes as a variable")
    return form["name"]


def _make_sure_it_is_allowed(name: str, path: str) -> None:
    why = refused_flags().get(name)
    if why is not None:
        raise _invalid(path, f"--{name} is not for spec.triton.extraArgs: {why.rstrip('.')}")


def _make_sure_it_is_written_out(name: str, path: str) -> None:
    longer = sorted(flag for flag in KNOWN_FLAGS if flag.startswith(name))
    if longer and name not in KNOWN_FLAGS:
        raise _invalid(path, f"--{name} is a shortened name; write the whole one of --{', --'.join(longer)}")


def _make_sure_the_server_has_it(name: str, version: Version | None, path: str) -> None:
    since = KNOWN_FLAGS.get(name)
    if version is None or (since is None and version > LAST_READ):
        return
    if since is None:
        raise _invalid(path, f"Triton {version} has no flag --{name}{_resembling(name)}")
    if since > version:
        message = f"--{name} requires Triton {since}, but the server is {version}; choose a newer spec.triton.version"
        raise InvalidSpecError(Reason.UNSUPPORTED_BY_IMAGE, path, message)


def _make_sure_its_options_are_allowed(name: str, argument: str, path: str) -> None:
    why = complain_about_option(name, argument.partition("=")[2])
    if why:
        raise _invalid(path, f"{argument}: {why}")


def _resembling(name: str) -> str:
    allowed = KNOWN_FLAGS.keys() - refused_flags().keys()
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean --{close[0]}?" if close else ""


def _invalid(path: str, message: str) -> InvalidSpecError:
    return InvalidSpecError(Reason.SERVER_ARGUMENT_INVALID, path, message)
