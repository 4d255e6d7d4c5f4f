"""The command line and the variables of a server on this machine: a pod's, with this machine's places.

Pure. Input: what the deployment says and where things lie. Output: what to start. The flags and their reasons are
those of `triton.flags`; what differs is said here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.spec import Spec
from triton_operator.local.environment import Environment
from triton_operator.local.folders import region_prefix
from triton_operator.local.models import RELEASE, Laid
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.resources.pod import flags_of
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.server_image import ServerImage

_KEPT_VARIABLES = ("HOME", "USER", "TZ")


class Place(NamedTuple):
    """Where a server runs: `folder` goes away with it."""

    environment: Environment
    folder: Path
    ports: Ports


def command(spec: Spec, place: Place, laid: Laid) -> list[str]:
    """`tritonserver` with the operator's flags, listening on loopback, with its folder's name as its id."""
    here = {
        "model-repository": str(laid.tree),
        "http-address": ADDRESS,
        "http-port": str(place.ports.http),
        "grpc-address": ADDRESS,
        "grpc-port": str(place.ports.grpc),
        "metrics-address": ADDRESS,
        "metrics-port": str(place.ports.metrics),
    }
    flags = flags_of(spec, ServerImage("", RELEASE))
    arguments = [flag._replace(value=here.get(flag.name, flag.value)).argument() for flag in flags]
    own = [
        f"--backend-directory={place.folder / 'backends'}",
        f"--cache-directory={place.environment.caches}",
        f"--backend-config=python,shm-region-prefix-name={region_prefix(place.folder)}",
    ]
    if not any(argument.startswith("--id=") for argument in spec.triton.extra_args):
        own.append(f"--id={place.folder.name}")
    return ["tritonserver", *arguments, *spec.triton.extra_args, *own]


def variables(spec: Spec, place: Place, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of the server: as in a pod, nothing of the caller's shell reaches a model."""
    root = place.environment.root
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    return kept | {
        "PATH": os.pathsep.join([str(root / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LD_LIBRARY_PATH": str(place.environment.libraries),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(place.folder / "tmp"),
        **{variable.name: variable.value for variable in server_environment(spec)},
    }
