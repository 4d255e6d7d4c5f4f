"""Check the user's additional arguments for Triton, `spec.triton.extraArgs`.

Input: the arguments and the server's release. Raises InvalidSpecError with the argument's path. `resources` calls it
before it renders a pod. It rejects flags that the operator sets, flags and options that weaken the pod's restrictions,
and flags that the release does not have: Triton exits on an unknown flag, and its 40 KB usage message hides which one
it was. It also rejects abbreviated names, because Triton's parser expands them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.triton.server.extra_arg_options import check_options
from triton_operator.triton.server.flags import Flag, own_flags
from triton_operator.triton.server.known_flags import KNOWN_FLAGS, LAST_READ
from triton_operator.triton.server.versions import Version

_FORM = re.compile(r"--(?P<name>[a-z0-9][a-z0-9-]*)=[^\x00-\x1f\x7f]+")
"""The value must be in the same argument; otherwise, Triton would use the next argument as the value."""

_CODE = "it selects a folder from which code is loaded; add the code to the server's image"
_TRACE = "a trace can write requests to disk or send them away"
_HEADERS = "it passes the headers of clients, including their tokens, to models"
_TLS = "clients, probes and Services expect the plain ports; certificates belong to spec.privacy.tls"
_DOOR = "it configures an endpoint that bypasses the restricted APIs and stays disabled"
_FIXED_MODELS = "models are loaded once, at startup, from the files that `prepare` checked"
_LOGS = "spec.triton.logLevel sets it"
_NO_SERVER = "the server would print its usage and exit"

_REJECTED = {
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
    "model-config-name": "it selects a configuration other than the one that was checked",
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
"""Flags of the operator for tuning; if the user sets one, the operator's value is omitted."""


def rejected_flags() -> dict[str, str]:
    """Every flag that a user must not set, with the reason; includes the operator's flags of newer releases."""
    own = {flag.name: f"the operator sets it. {flag.reason}" for flag in own_flags() if flag.name not in OVERRIDABLE}
    return own | _REJECTED


def check_extra_args(arguments: Sequence[str], version: Version | None) -> None:
    """Raise InvalidSpecError for the first argument that is not allowed, or that this server does not support.

    If `version` is None or newer than LAST_READ, flags that are not in the table are allowed, because only the server
    can determine whether it supports them.
    """
    for index, argument in enumerate(arguments):
        path = f"spec.triton.extraArgs[{index}]"
        name = _name(argument, path)
        _check_allowed(name, path)
        _check_not_abbreviated(name, path)
        _check_supported(name, version, path)
        _check_options(name, argument, path)


def without_overridden(flags: Sequence[Flag], arguments: Sequence[str]) -> list[Flag]:
    """The flags that `arguments`, which have been checked, do not set."""
    overridden = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    return [flag for flag in flags if flag.name not in overridden]


def _name(argument: str, path: str) -> str:
    form = _FORM.fullmatch(argument)
    if form is None:
        raise _invalid(path, f"{argument!r} is not a flag with its value, such as --http-thread-count=16")
    if "$(" in argument:
        raise _invalid(path, "Kubernetes would expand $( ) as a variable; remove it")
    return form["name"]


def _check_allowed(name: str, path: str) -> None:
    why = rejected_flags().get(name)
    if why is not None:
        raise _invalid(path, f"--{name} cannot be set here because {why.rstrip('.')}")


def _check_not_abbreviated(name: str, path: str) -> None:
    longer = sorted(flag for flag in KNOWN_FLAGS if flag.startswith(name))
    if longer and name not in KNOWN_FLAGS:
        raise _invalid(path, f"--{name} is an abbreviation; write the full name: --{', --'.join(longer)}")


def _check_supported(name: str, version: Version | None, path: str) -> None:
    since = KNOWN_FLAGS.get(name)
    if version is None or (since is None and version > LAST_READ):
        return
    if since is None:
        raise _invalid(path, f"Triton {version} has no flag --{name}{_resembling(name)}")
    if since > version:
        message = f"--{name} requires Triton {since}, but the server is {version}; choose a newer spec.triton.version"
        raise InvalidSpecError(Reason.UNSUPPORTED_BY_IMAGE, path, message)


def _check_options(name: str, argument: str, path: str) -> None:
    why = check_options(name, argument.partition("=")[2])
    if why:
        raise _invalid(path, f"{argument}: {why}")


def _resembling(name: str) -> str:
    allowed = KNOWN_FLAGS.keys() - rejected_flags().keys()
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean --{close[0]}?" if close else ""


def _invalid(path: str, message: str) -> InvalidSpecError:
    return InvalidSpecError(Reason.SERVER_ARGUMENT_INVALID, path, message)
