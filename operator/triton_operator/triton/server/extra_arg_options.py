"""Which options a user may set by Triton's arguments that name them: `--backend-config=python,thread-pool-size=2`.

A flag's name and value go in, a sentence leaves where the value is refused; `extra_args` asks it. Without this a value
would bring in what is refused by name: `--backend-config=backend-directory=/models` says from where code is loaded, and
so does the name of a cache, from which Triton builds the path of a library. Options are allowed one by one, because
every backend brings its own and some of them name libraries (`tensorrt,plugins=…`, `dali,plugin_libs=…`).
"""

from __future__ import annotations

import re

_ANY_BACKEND = frozenset({"default-max-batch-size", "min-compute-capability"})
"""Read by Triton's core, for all backends or for one."""

_OF_BACKEND = {
    "python": frozenset(
        {"shm-default-byte-size", "shm-growth-byte-size", "stub-timeout-seconds", "thread-pool-size"},
    ),
    "tensorrt": frozenset({"coalesce-request-input", "execution-policy"}),
}

_SETTING = re.compile(r"(?:(?P<owner>[^,=]*),)?(?P<key>[^,=]+)=(?P<value>[^,=]*)")
_CACHE = re.compile(r"local,size=[0-9]{1,19}")


def complain_about_option(flag: str, value: str) -> str:
    """Why this value of `--flag` is refused; "" where it is not, and for flags that set no options by name."""
    if flag == "backend-config":
        return _complain_about_backend(value)
    if flag == "cache-config" and not _CACHE.fullmatch(value):
        return "only the local cache is there: --cache-config=local,size=BYTES"
    return ""


def _complain_about_backend(value: str) -> str:
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
    return f"{key} of {owner or 'all backends'} is not known to be harmless; options that may be set: {known}"
