"""The command line and environment variables of a server on this machine: those of a pod, with local paths and ports.

Input: a spec, and the paths and ports of the server. Output: command and variables. Pure. The flags and the reasons for
them are in `triton.server.flags`; this module contains only the differences.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.spec import Spec
from triton_operator.local.environment import Environment
from triton_operator.local.folders import region_prefix
from triton_operator.local.models import RELEASE, StagedModels
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.resources.pod import flags_of
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.server_image import ServerImage

_KEPT_VARIABLES = ("HOME", "USER", "TZ")


class ServerContext(NamedTuple):
    """The environment, the folder and the ports of one server; `folder` is deleted when the server stops."""

    environment: Environment
    folder: Path
    ports: Ports


def server_command(spec: Spec, context: ServerContext, staged: StagedModels) -> list[str]:
    """The command line of `tritonserver`: the operator's flags, loopback addresses, and the folder's name as the ID."""
    local_values = {
        "model-repository": str(staged.tree),
        "http-address": ADDRESS,
        "http-port": str(context.ports.http),
        "grpc-address": ADDRESS,
        "grpc-port": str(context.ports.grpc),
        "metrics-address": ADDRESS,
        "metrics-port": str(context.ports.metrics),
    }
    flags = flags_of(spec, ServerImage("", RELEASE))
    arguments = [flag._replace(value=local_values.get(flag.name, flag.value)).argument() for flag in flags]
    local_flags = [
        f"--backend-directory={context.folder / 'backends'}",
        f"--cache-directory={context.environment.caches}",
        f"--backend-config=python,shm-region-prefix-name={region_prefix(context.folder)}",
    ]
    if not any(argument.startswith("--id=") for argument in spec.triton.extra_args):
        local_flags.append(f"--id={context.folder.name}")
    return ["tritonserver", *arguments, *spec.triton.extra_args, *local_flags]


def server_variables(spec: Spec, context: ServerContext, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of the server; as in a pod, a model cannot see the variables of the caller's shell.

    Variables with `valueFrom`, and `envFrom`, are omitted, because their sources exist only in a cluster.
    """
    root = context.environment.root
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    given = {variable.name: variable.value or "" for variable in spec.env if variable.value_from is None}
    return (
        kept
        | given
        | {
            "PATH": os.pathsep.join([str(root / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LD_LIBRARY_PATH": str(context.environment.libraries),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(context.folder / "tmp"),
            **{variable.name: variable.value for variable in server_environment(spec)},
        }
    )
