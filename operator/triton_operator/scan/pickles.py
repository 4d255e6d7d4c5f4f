"""Find unexpected types in pickles, without unpickling them.

Input: the bytes of a pickle. Output: messages. Only operations that bring a name into the pickle are judged: all others
work on types that were named before. Pickles of TorchScript have few types; Python models can load any pickle, and the
types that it names are then imported and called.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Iterator, Mapping

from triton_operator.scan.code import foreign_class

PICKLE_LIMIT = 8 << 20
"""Maximum size of one pickle in bytes; tensors are not in it, and a BERT model has 0.01 MB."""

ALL_PICKLES_LIMIT = 32 << 20
"""Maximum size of all pickles in an archive, in bytes."""

_MEMO_LIMIT = 1 << 16
"""Maximum size of a pickle's memo that is followed; if it is larger, types named by memoized strings are unknown."""

_REBUILDS = frozenset(
    [
        "_rebuild_device_tensor_from_cpu_tensor",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_qtensor",
        "_rebuild_sparse_tensor",
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
    ]
)
_RESTORES = frozenset(
    [
        "build_boollist",
        "build_doublelist",
        "build_intlist",
        "build_tensor_from_id",
        "build_tensorlist",
        "restore_type_tag",
    ]
)
_ALLOWED: Mapping[str, frozenset[str]] = {
    "collections": frozenset(["OrderedDict"]),
    "torch._tensor": frozenset(["_rebuild_from_type_v2"]),
    "torch._utils": _REBUILDS,
    "torch.jit._pickle": _RESTORES,
    "torch.nn.parameter": frozenset(["Parameter"]),
    "torch.serialization": frozenset(["_get_layout"]),
    "torch.storage": frozenset(["TypedStorage", "UntypedStorage"]),
}
"""Names that torch writes into pickles of tensors and modules."""

_ALLOWED_OF_TORCH = re.compile(
    r"[A-Z][A-Za-z0-9]*Storage|Size|Tensor|device|per_(?:tensor|channel)_affine(?:_float_qparams)?|"
    r"bool|q?u?int[0-9]{1,2}|quint[24]x[24]|b?float[0-9]{1,2}(?:_[a-z0-9]+)?|complex[0-9]{2,3}|strided|sparse_[a-z]{3}"
)
"""Storages, data types, layouts and quantization schemes in the module `torch`."""

_STRING_OPERATIONS = frozenset(
    ["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"]
)
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_FRAMING = frozenset(["PROTO", "FRAME"])
_REGISTERED = frozenset(["EXT1", "EXT2", "EXT4"])
_BROKEN = (ValueError, OverflowError, RecursionError, IndexError, KeyError, struct.error)


def check_pickle(data: bytes) -> Iterator[str]:
    """Yield a message for each unexpected type, once, and for content that cannot be read."""
    seen: set[str] = set()
    strings = _StackStrings()
    end = 0
    try:
        for operation, argument, position in pickletools.genops(data):
            end = (position or 0) + 1
            name = _named(operation.name, argument, strings)
            strings.follow(operation.name, argument)
            if name is not None and name not in seen and not is_expected(name):
                seen.add(name)
                yield (
                    f"names {name}, which is called when the pickle is loaded" if name else "hides which type it names"
                )
    except _BROKEN as problem:
        yield f"the pickle cannot be read: {' '.join(str(problem).split())[:100]}"
        return
    if end != len(data):
        yield f"has {len(data) - end:,} bytes after the end of the pickle"


def is_expected(name: str) -> bool:
    """Whether torch writes this `module name` into its files; classes of the model itself are in `__torch__`."""
    module, _, attribute = name.partition(" ")
    if module == "__torch__" or module.startswith("__torch__."):
        return not foreign_class(f"{module.removeprefix('__torch__')}.{attribute}")
    if module == "torch":
        return _ALLOWED_OF_TORCH.fullmatch(attribute) is not None
    return attribute in _ALLOWED.get(module, ())


class _StackStrings:
    """The strings on top of the pickle's stack, from which `STACK_GLOBAL` takes a module and a name."""

    def __init__(self) -> None:
        self._top: list[str | None] = []
        self._memo: dict[int, str | None] = {}
        self._is_memo_full = False

    @property
    def name(self) -> str:
        """`module name`; "" if one of them is unknown, because another operation produced it."""
        module, name = ([None, None, *self._top])[-2:]
        return f"{module} {name}" if module is not None and name is not None else ""

    def follow(self, operation: str, argument: object) -> None:
        """Follow one operation; after one that is not about strings, the top of the stack is unknown."""
        if operation in _STRING_OPERATIONS:
            self._top = [*self._top[-1:], str(argument)]
        elif operation in _GETS and isinstance(argument, int):
            self._top = [*self._top[-1:], self._memo.get(argument)]
        elif operation == "MEMOIZE":
            self._memoize(len(self._memo))
        elif operation in _PUTS and isinstance(argument, int):
            self._memoize(argument)
        elif operation not in _FRAMING:
            self._top = []

    def _memoize(self, key: int) -> None:
        if len(self._memo) >= _MEMO_LIMIT:
            self._is_memo_full = True
            self._memo.clear()
        if not self._is_memo_full:
            self._memo[key] = self._top[-1] if self._top else None


def _named(operation: str, argument: object, strings: _StackStrings) -> str | None:
    """The `module name` that an operation brings into the pickle; "" if it is unknown, None for other operations."""
    if operation in {"GLOBAL", "INST"}:
        return str(argument)
    if operation == "STACK_GLOBAL":
        return strings.name
    return "" if operation in _REGISTERED else None
