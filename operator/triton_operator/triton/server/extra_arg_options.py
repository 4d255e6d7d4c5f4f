"""Check the options in the values of Triton's arguments, such as `--backend-config=python,thread-pool-size=2`.

Input: a flag's name and value. Output: the reason for rejecting the value, or "". `extra_args` calls it. Without this
check, a value could set what a rejected flag sets: `--backend-config=backend-directory=/models` selects a folder from
which code is loaded, and Triton builds the path of a library from the name of a cache. Options are on an allow-list,
because each backend has its own options, some of which name libraries (`tensorrt,plugins=…`, `dali,plugin_libs=…`).
"""

from __future__ import annotations

import re

_ANY_BACKEND = frozenset({"default-max-batch-size", "min-compute-capability"})
"""Options of Triton's core, for all backends or for one."""

_OF_BACKEND = {
    "python": frozenset(
        {"shm-default-byte-size", "shm-growth-byte-size", "stub-timeout-seconds", "thread-pool-size"},
    ),
    "tensorrt": frozenset({"coalesce-request-input", "execution-policy"}),
}

_SETTING = re.compile(r"(?:(?P<owner>[^,=]*),)?(?P<key>[^,=]+)=(?P<value>[^,=]*)")
_CACHE = re.compile(r"local,size=[0-9]{1,19}")


def check_options(flag: str, value: str) -> str:
    """The reason for rejecting this value of `--flag`; "" if it is allowed, or if the flag has no named options."""
    if flag == "backend-config":
        return _check_backend_options(value)
    if flag == "cache-config" and not _CACHE.fullmatch(value):
        return "only the local cache is supported; write --cache-config=local,size=BYTES"
    return ""


def _check_backend_options(value: str) -> str:
    found = _SETTING.fullmatch(value)
    if found is None:
        return "write --backend-config=BACKEND,OPTION=VALUE"
    owner, key = found["owner"], found["key"]
    if key in _ANY_BACKEND and owner != "":
        return ""
    allowed = _OF_BACKEND.get(owner or "", frozenset())
    if key in allowed:
        return ""
    known = ", ".join(
        sorted({*_ANY_BACKEND, *(f"{name},{option}" for name in _OF_BACKEND for option in _OF_BACKEND[name])})
    )
    return f"the option {key} of {owner or 'all backends'} is not allowed; allowed options: {known}"
