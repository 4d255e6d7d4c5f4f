"""Read examples from files: `.npz` of NumPy, `.pt` of torch (weights only), and JSON.

Input: a path, and the declared inputs. Output: arguments of forward() in order, and their names. `source` calls it.
Files are not trusted: no code in them is executed. Requires torch, and NumPy for `.npz`.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from triton_operator.export.errors import ExportError
from triton_operator.export.tensors import DATA_TYPES, TYPES, Value
from triton_operator.triton.model_file.signature import ANY, TensorSpec

_NUMBERED = re.compile(r"(?:arr_|.+__)(\d+)")
"""NumPy's names for unnamed arrays, and names that end in a position."""

MOST_BYTES = 1 << 30
"""Limit for a file, unpacked, and for each tensor in it; an example is one request, which Triton limits to 64 MiB."""

_TOO_LARGE = f"is larger than {MOST_BYTES >> 30} GiB, the limit for an example"


class Example(NamedTuple):
    """Arguments in the order of forward(), and their names in the file, or ()."""

    names: tuple[str, ...]
    values: list[Value]


def read_example(path: Path, declared: Sequence[TensorSpec], arguments: Sequence[str], *, batched: bool) -> Example:
    """Read one file; `declared` are the inputs of the command line, if any. Raises ExportError, or OSError."""
    if path.stat().st_size > MOST_BYTES:
        raise ExportError(f"{path}: {_TOO_LARGE}")
    try:
        content = _READERS[path.suffix](path)
    except OSError:
        raise
    except Exception as error:  # The readers have no base class, and raise whatever a damaged file causes.
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{path}: cannot be read as an example: {reason}") from error
    named = content if isinstance(content, Mapping) else None
    names = _order(path, [str(each) for each in named], declared, arguments) if named is not None else ()
    raw = [named[name] for name in names] if named is not None else _positional(content)
    if declared and len(raw) != len(declared):
        raise ExportError(f"{path}: has {len(raw)} values, and there are {len(declared)} --input options")
    labels = names or tuple(f"value {index}" for index in range(len(raw)))
    kinds = [each.data_type for each in declared] or [""] * len(raw)
    values = [_value(path, *each) for each in zip(labels, raw, kinds, strict=True)]
    for label, value, tensor in zip(labels, values, declared, strict=False):
        _check_shape(path, label, value, tensor, batched=batched)
    return Example(tuple(name for name in names if not name.startswith("arr_")), values)


def check_open_sizes(declared: Sequence[TensorSpec], examples: Sequence[Example], *, batched: bool) -> None:
    """Check that a size declared as variable differs between examples; raises ExportError."""
    for index, tensor in enumerate(declared):
        for at, size in enumerate(tensor.dims):
            seen = {_shape(each.values[index])[at + batched] for each in examples}
            if size == ANY and len(seen) == 1:
                raise ExportError(
                    f"{tensor.name}: dimension {at} may have any size, and all examples have {seen.pop()}; "
                    "pass a second --example of another size"
                )


def _order(path: Path, names: list[str], declared: Sequence[TensorSpec], arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the names in the file in the order of forward()."""
    for known in ([each.name for each in declared], list(arguments)):
        if names and set(names) <= set(known):
            return tuple(name for name in known if name in names)
    numbers = {int(found[1]): name for name in names if (found := _NUMBERED.fullmatch(name))}
    if names and sorted(numbers) == list(range(len(names))):
        return tuple(numbers[index] for index in range(len(names)))
    raise ExportError(
        f"{path}: has {', '.join(names) or 'nothing'}; name its values after the arguments of forward() "
        f"({', '.join(arguments)}), after --input, or INPUT__0, INPUT__1 and so on"
    )


def _positional(content: Any) -> list[Any]:
    return list(content) if isinstance(content, (list, tuple)) else [content]


def _read_npz(path: Path) -> Any:
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ValueError(_TOO_LARGE)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


_READERS = {".npz": _read_npz, ".pt": _read_pt, ".pth": _read_pt, ".json": _read_json}


def _value(path: Path, label: str, raw: Any, kind: str) -> Value:
    """Return a tensor or texts, of the declared type if there is one."""
    try:
        value = _plain(raw, kind)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ExportError(f"{path}: {label}: {' '.join(str(error).split())[:300]}") from error
    is_text = isinstance(value, list)
    actual = "STRING" if isinstance(value, list) else DATA_TYPES.get(value.dtype, str(value.dtype))
    if kind and actual != kind:
        raise ExportError(f"{path}: {label} is {actual}, and --input says {kind}")
    if not is_text and actual not in TYPES:
        raise ExportError(f"{path}: {label} is {actual}, which Triton does not support for TorchScript")
    return value


def _plain(raw: Any, kind: str) -> Value:
    if isinstance(raw, torch.Tensor):
        if raw.layout is not torch.strided or raw.is_quantized or raw.device.type != "cpu":
            raise ValueError("is not a dense tensor with values")
        if raw.numel() * raw.element_size() > MOST_BYTES:  # An expanded tensor repeats few values in memory.
            raise ValueError(_TOO_LARGE)
        return raw.detach()
    if hasattr(raw, "dtype"):  # An array of numpy.
        if raw.dtype.kind in "US":
            return [text.decode() if isinstance(text, bytes) else str(text) for text in _flat(raw)]
        return torch.from_numpy(raw.astype(raw.dtype.newbyteorder("=")))
    if isinstance(raw, list) and raw and all(isinstance(each, str) for each in raw):
        return raw
    return _tensor(raw, kind)


def _flat(array: Any) -> list[Any]:
    if array.ndim != 1:
        raise ValueError("text has one dimension, the batch included")
    texts: list[Any] = array.tolist()
    return texts


def _tensor(raw: Any, kind: str) -> torch.Tensor:
    """Convert numbers of JSON to the declared type, or to INT64, FP32 or BOOL."""
    found = torch.tensor(raw)
    if not kind or (kind == "BOOL") != (found.dtype is torch.bool) or kind not in TYPES:
        return found
    if not found.dtype.is_floating_point or TYPES[kind].is_floating_point:
        # torch raises an error for numbers out of range, except for negative numbers of unsigned types.
        converted = torch.tensor(raw, dtype=TYPES[kind])
        if not found.dtype.is_floating_point and not torch.equal(converted.double(), found.double()):
            raise ValueError(f"numbers beyond {kind}")
        return converted
    return found


def _check_shape(path: Path, label: str, value: Value, tensor: TensorSpec, *, batched: bool) -> None:
    shape = _shape(value)
    expected = (ANY, *tensor.dims) if batched else tensor.dims
    fits = len(shape) == len(expected) and all(want in (ANY, size) for want, size in zip(expected, shape, strict=True))
    if not fits:
        also = " with the batch before it" if batched else ""
        raise ExportError(f"{path}: {label} has shape {list(shape)}, and --input says {list(tensor.dims)}{also}")
    if math.prod(shape) == 0:
        raise ExportError(f"{path}: {label} has no elements")


def _shape(value: Value) -> tuple[int, ...]:
    return (len(value),) if isinstance(value, list) else tuple(value.shape)
