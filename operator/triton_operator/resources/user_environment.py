"""The user's environment variables in the Triton container, after those of the operator, and which ones are rejected.

Pure. Input: a spec. Output: `env` and `envFrom` of the container, and the Problems of `spec.env` and `spec.envFrom`.
The CRD has the same rules. The operator never reads the ConfigMaps and Secrets in `envFrom`, so private profiles
require a prefix that no rejected name begins with.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from triton_operator.api.environment import EnvFromSource, EnvVar
from triton_operator.api.errors import Problem
from triton_operator.api.pod_parts import ContainerVariableSource
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.own_secrets import check_variable, check_variables_from, own_secrets
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.stored_form import stored_form

DEVICES = (
    "AMD_VISIBLE_DEVICES",
    "HABANA_VISIBLE_DEVICES",
    "NVIDIA_GDRCOPY",
    "NVIDIA_GDS",
    "NVIDIA_IMEX_CHANNELS",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_MOFED",
    "NVIDIA_NVSWITCH",
    "NVIDIA_VISIBLE_DEVICES",
)
"""Variables with which container runtimes assign devices of the node to a container, whatever the scheduler assigned.

Some are network devices, to which a NetworkPolicy does not apply.
"""
ENTRYPOINT = ("PARENT_PIPE_DESCRIPTOR",)
"""Variables that only the process that starts the server may set; the entrypoint reads them."""

CODE = (
    "BASHOPTS",
    "BASH_ENV",
    "CC",
    "CUDA_INJECTION32_PATH",
    "CUDA_INJECTION64_PATH",
    "CXX",
    "ENV",
    "GCONV_PATH",
    "HSA_TOOLS_LIB",
    "NCCL_NET_PLUGIN",
    "NCCL_PROFILER_PLUGIN",
    "NCCL_TUNER_PLUGIN",
    "NVTX_INJECTION64_PATH",
    "OCL_ICD_FILENAMES",
    "OCL_ICD_VENDORS",
    "OMP_TOOL_LIBRARIES",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PATH",
    "PS4",
    "SHELLOPTS",
    "TORCHINDUCTOR_CACHE_DIR",
    "UCX_MODULE_DIR",
)
"""Variables that make the entrypoint, Triton or a library run code from elsewhere. Bash runs commands in BASH_ENV."""
CODE_FAMILIES = ("BASH_FUNC_", "LD_", "OMPI_MCA_", "PYTHON")
"""Families of such variables: functions of Bash, and those of the dynamic linker, Open MPI and Python."""
HARMLESS = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
)
"""Members of these families that run no code."""

PAYLOAD = ("GRPC_TRACE", "GRPC_VERBOSITY")
"""Variables that make gRPC log the bytes of requests and responses."""

_OWN = "is set by the operator ({}); remove it"
_DEVICES = "gives the pod devices that the scheduler did not assign to it; use spec.gpu"
_ENTRYPOINT = "is used between the server's entrypoint and its parent process; remove it"
_CODE = "can run code from elsewhere; only the profile Open allows it"
_PAYLOAD = "writes requests to the log; only the profile Open allows it"
_PREFIX = (
    "{}, because the operator cannot see the names in the object; set a prefix with which none of them begins, or list "
    "the variables in spec.env; only the profile Open allows this"
)


def container_environment(spec: Spec) -> Manifest:
    """`env` and, if the user sets it, `envFrom` of the Triton container.

    The user's variables may refer to the operator's, which come first. `env` takes precedence over `envFrom`.
    """
    variables = [{"name": variable.name, "value": variable.value} for variable in server_environment(spec)]
    environment: Manifest = {"env": [*variables, *map(_variable, spec.env)]}
    if spec.env_from:
        environment["envFrom"] = [_source(source) for source in spec.env_from]
    return environment


def _variable(variable: EnvVar) -> Manifest:
    if variable.value_from:
        return {
            "name": variable.name,
            "valueFrom": stored_form(msgspec.to_builtins(variable.value_from), ContainerVariableSource),
        }
    return {"name": variable.name, "value": variable.value or ""}


def _source(source: EnvFromSource) -> Manifest:
    rendered: Manifest = msgspec.to_builtins(source)
    return rendered


def find_environment_problems(spec: Spec, name: str) -> Iterator[Problem]:
    """Every variable that the user must not set, and every `envFrom` that could set one.

    Also every reference to a reserved Secret (`own_secrets`). `name` is that of the object.
    """
    secrets = own_secrets(spec, name)
    own = {variable.name: variable.reason for variable in server_environment(spec)}
    private = spec.privacy.profile.is_private
    for index, variable in enumerate(spec.env):
        if message := why_rejected(variable.name, own, private=private):
            yield Problem(f"spec.env[{index}].name", f"{variable.name} {message}")
        yield from check_variable(variable, f"spec.env[{index}]", secrets)
    for index, source in enumerate(spec.env_from):
        if private and (names := _possible(source.prefix)):
            message = _PREFIX.format(f"could set variables such as {names[0]}")
            yield Problem(f"spec.envFrom[{index}].prefix", message)
        yield from check_variables_from(source, f"spec.envFrom[{index}]", secrets)


def why_rejected(name: str, own: dict[str, str], *, private: bool) -> str:
    """Why a user must not set this variable; "" if it is allowed. `own` are the operator's variables and reasons."""
    if name in own:
        return _OWN.format(own[name].rstrip("."))
    if name in DEVICES:
        return _DEVICES
    if name in ENTRYPOINT:
        return _ENTRYPOINT
    if private and name in PAYLOAD:
        return _PAYLOAD
    if private and name not in HARMLESS and (name in CODE or name.startswith(CODE_FAMILIES)):
        return _CODE
    return ""


def _possible(prefix: str) -> list[str]:
    """Rejected names that a variable with this prefix can have."""
    names = (*CODE, *DEVICES, *ENTRYPOINT, *PAYLOAD)
    families = [family for family in CODE_FAMILIES if family.startswith(prefix) or prefix.startswith(family)]
    return [*(name for name in names if name.startswith(prefix)), *(f"{family}…" for family in families)]
