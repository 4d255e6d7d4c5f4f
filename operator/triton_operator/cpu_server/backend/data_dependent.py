"""Find operations whose output sizes depend on the values in a model's inputs (data-dependent shapes).

Input: a TorchScript module. Output: the first such operation, or "". `torchscript_file` calls it. Such a module may
return two rows for one client and none for another, and the total may equal the rows of the batch by chance, so the row
count cannot prove that the output can be split. In doubt, an operation is reported, and requests are not batched. Any
conversion of a tensor's values to numbers of the program is reported as well, because sizes may depend on them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZED = frozenset(
    f"aten::{name}"
    for name in (
        *("nonzero", "nonzero_numpy", "argwhere", "masked_select", "bincount", "histc"),
        *("unique", "unique_dim", "unique_consecutive", "unique_dim_consecutive", "_unique", "_unique2"),
        *("to_sparse", "to_sparse_csr", "extend", "insert", "pop", "remove", "clear"),
    )
)
"""Operations whose number of results depends on values."""

_GROWS = frozenset({"aten::append", "aten::add", "aten::add_"})
"""Operations that extend a list."""

_NUMBERS_ALONE = frozenset({"Tensor", "Optional[Tensor]", "Dict[str, Tensor]"})
"""Argument types whose values an `if` can only read after a conversion to a number of the program."""

_MASKS = frozenset(
    {f"aten::{name}" for name in ("gt", "ge", "lt", "le", "eq", "ne", "logical_not", "logical_and", "logical_or")}
    | {
        f"aten::{name}"
        for name in ("bitwise_not", "bitwise_and", "bitwise_or", "__and__", "__or__", "isnan", "isfinite")
    }
)
_INDICES = frozenset(
    {f"aten::{name}" for name in ("arange", "argmax", "argmin", "argsort", "randperm")}
    | {
        "prim::Constant",
        "prim::GetAttr",
        "prim::NumToTensor",
        "aten::tensor",
        "aten::floor_divide",
        "aten::searchsorted",
    }
)
_VALUES_AND_INDICES = frozenset({"aten::topk", "aten::sort", "aten::max", "aten::min"})
"""Operations that return two tensors, of which the second contains indices."""

_KIND_PRESERVING = frozenset(
    f"aten::{name}"
    for name in (
        *("view", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "expand_as", "slice", "select", "contiguous"),
        *("transpose", "permute", "add", "sub", "mul", "clamp", "clone", "detach", "repeat", "remainder"),
    )
)
"""Operations that return indices for indices, and masks for masks."""

_PROPERTIES = frozenset(
    {f"aten::{name}" for name in ("size", "dim", "len", "numel", "stride", "is_contiguous", "get_device")}
    | {f"aten::{name}" for name in ("is_floating_point", "is_complex", "__is__", "__isnot__")}
    | {f"prim::{name}" for name in ("dtype", "device", "layout", "is_cuda", "is_cpu", "is_nested", "is_sparse")}
    | {
        f"prim::{name}"
        for name in ("requires_grad", "isinstance", "unchecked_cast", "TupleUnpack", "TupleIndex", "Loop")
    }
)
"""Operations that return a property of a tensor without reading its values."""

_RAISES = frozenset({"prim::RaiseException", "prim::Constant", "aten::format", "aten::add"})
"""Operations of `assert` and `raise`."""

_INTEGER_CODES = (1, 2, 3, 4)  # int8 to int64 among torch's ScalarTypes


def data_dependent_operation(module: Any, integers: frozenset[int]) -> str:
    """Return the first data-dependent operation, or "". `integers` are the positions of arguments of integer type."""
    graph = module.inlined_graph
    arguments = list(graph.inputs())[1:]
    positions = frozenset(each.debugName() for place, each in enumerate(arguments) if place in integers)
    texts = any(str(each.type()) not in _NUMBERS_ALONE for each in arguments)
    return next(
        chain(_value_reads(graph), _sized_by_values(graph, positions, loops=0, conditional=False, texts=texts)), ""
    )


def _value_reads(block: Any) -> Iterator[str]:
    """Find conversions of tensor values to numbers or Booleans, which may determine sizes or branches."""
    for node in block.nodes():
        if node.kind() not in _PROPERTIES and any(map(_has_tensors, node.inputs())):
            given = [each for each in node.outputs() if str(each.type()) != "NoneType"]
            if not (all(map(_has_tensors, given)) or _is_size(next(iter(node.inputs()))) or _only_raises(given)):
                yield node.kind()
        for inner in node.blocks():
            yield from _value_reads(inner)


def _only_raises(values: list[Any]) -> bool:
    """Whether the values are used only by an `if` that raises an error, as in `assert`."""
    users = [use.user for value in values for use in value.uses()]
    return all(
        _only_raises(list(user.outputs()))
        if user.kind() == "aten::__not__"
        else user.kind() == "prim::If"
        and not list(user.outputs())
        and all(inner.kind() in _RAISES for block in user.blocks() for inner in block.nodes())
        for user in users
    )


def _has_tensors(value: Any) -> bool:
    return "Tensor" in str(value.type())


def _sized_by_values(
    block: Any, positions: frozenset[str], *, loops: int, conditional: bool, texts: bool
) -> Iterator[str]:
    """Search a block; `loops` is its nesting depth in loops, `conditional` whether texts may decide if it runs."""
    for node in block.nodes():
        kind = node.kind()
        if (kind in _SIZED and _takes_values(node)) or (
            kind in _GROWS and _is_list(node) and (conditional or _fills_in_nested_loop(node, loops))
        ):
            yield kind
        elif kind == "aten::index" and any(not _is_index(each, positions) for each in _indices(node)):
            yield "aten::index with a mask"
        elif kind == "aten::where" and len(list(node.inputs())) == 1:
            yield "aten::where"
        elif kind in {"aten::repeat_interleave", "aten::tensor_split"} and _counts_are_a_tensor(node):
            yield kind
        elif kind == "aten::split" and str(node.output().type()) == "List[str]":
            yield "str.split"
        elif not kind.startswith(("aten::", "prim::", "prepacked::", "quantized::")):
            yield kind  # A custom operation, for example torchvision::nms.
        for inner in node.blocks():
            yield from _sized_by_values(
                inner,
                positions,
                loops=loops + (kind == "prim::Loop"),
                conditional=conditional or (texts and (kind == "prim::If" or _ends_early(kind, inner))),
                texts=texts,
            )


def _ends_early(kind: str, body: Any) -> bool:
    """Whether a block is the body of a `while` loop, or of a `for` loop with `break`."""
    return kind == "prim::Loop" and next(iter(body.outputs())).node().kind() != "prim::Constant"


def _takes_values(node: Any) -> bool:
    return _is_tensor(next(iter(node.inputs()))) or _is_list(node)


def _is_list(node: Any) -> bool:
    return str(next(iter(node.inputs())).type()).startswith("List[")


def _counts_are_a_tensor(node: Any) -> bool:
    """Whether the counts, the second argument, are a tensor; torch.repeat_interleave(counts) has only this argument."""
    given = list(node.inputs())
    return _is_tensor(given[1]) or (node.kind() == "aten::repeat_interleave" and len(given) == len(("counts", "size")))


def _is_size(value: Any) -> bool:
    """Whether a tensor is computed from sizes; a traced model converts sizes with prim::NumToTensor."""
    return _is_tensor(value) and _comes_from_sizes(value.node())


def _fills_in_nested_loop(node: Any, loops: int) -> bool:
    """Whether a list of texts grows in a nested loop, which may iterate over the characters of each text."""
    return loops > 1 and str(next(iter(node.inputs())).type()) == "List[str]"


def _comes_from_sizes(node: Any) -> bool:
    if node.kind() in {"prim::NumToTensor", "prim::Constant", "aten::size", "aten::_shape_as_tensor"}:
        return True
    inputs = list(node.inputs())
    is_arithmetic = node.kind() in {
        f"aten::{name}" for name in ("add", "sub", "mul", "div", "floor_divide", "floor", "to")
    }
    return is_arithmetic and all(_comes_from_sizes(each.node()) for each in inputs)


def _indices(node: Any) -> list[Any]:
    """The tensors among the indices, or the list itself if it is not constructed in place."""
    given = list(node.inputs())[1]
    if given.node().kind() != "prim::ListConstruct":
        return [given]
    return [each for each in given.node().inputs() if str(each.type()) != "NoneType"]


def _is_index(value: Any, positions: frozenset[str]) -> bool:
    """Whether a tensor certainly contains indices; False for masks and in doubt."""
    node = value.node()
    kind = node.kind()
    if kind in _MASKS or (kind == "aten::tensor" and "bool" in str(next(iter(node.inputs())).type())):
        return False
    if kind in _VALUES_AND_INDICES:
        return value.debugName() != next(iter(node.outputs())).debugName()
    if kind in _INDICES or value.debugName() in positions:
        return True
    if kind == "aten::to":
        codes = [each.toIValue() for each in node.inputs() if each.node().kind() == "prim::Constant"]
        return any(code in _INTEGER_CODES for code in codes if isinstance(code, int) and not isinstance(code, bool))
    return kind in _KIND_PRESERVING and _is_index(next(iter(node.inputs())), positions)


def _is_tensor(value: Any) -> bool:
    return isinstance(value.type(), torch.TensorType)
