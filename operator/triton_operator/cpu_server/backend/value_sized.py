"""Whether the values in a model's inputs decide how large its tensors or lists are.

Input: a TorchScript module. Output: the operation that may make it so, or nothing; in doubt there is one, and then
callers only share no batch. A number that a tensor holds may decide anything once it is a number of the program. Called
by `torchscript_file`. Such a module may give one caller two rows and another none, and their sum is then that of the
batch by chance: no number of rows shows that a batch of it can be parted.
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
"""Their results have as many elements as the values say."""

_GROWS = frozenset({"aten::append", "aten::add", "aten::add_"})
"""Make a list longer."""

_NUMBERS_ALONE = frozenset({"Tensor", "Optional[Tensor]", "Dict[str, Tensor]"})
"""Arguments that an `if` cannot look into, unless what it looks at becomes a number of the program."""

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
"""Give two tensors, the second of positions."""

_ALIKE = frozenset(
    f"aten::{name}"
    for name in (
        *("view", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "expand_as", "slice", "select", "contiguous"),
        *("transpose", "permute", "add", "sub", "mul", "clamp", "clone", "detach", "repeat", "remainder"),
    )
)
"""Give integers for integers and masks for masks."""

_ABOUT = frozenset(
    {f"aten::{name}" for name in ("size", "dim", "len", "numel", "stride", "is_contiguous", "get_device")}
    | {f"aten::{name}" for name in ("is_floating_point", "is_complex", "__is__", "__isnot__")}
    | {f"prim::{name}" for name in ("dtype", "device", "layout", "is_cuda", "is_cpu", "is_nested", "is_sparse")}
    | {
        f"prim::{name}"
        for name in ("requires_grad", "isinstance", "unchecked_cast", "TupleUnpack", "TupleIndex", "Loop")
    }
)
"""Give something else than a tensor for a tensor, and do not look at the numbers in it."""

_RAISES = frozenset({"prim::RaiseException", "prim::Constant", "aten::format", "aten::add"})
"""What `assert` and `raise` consist of."""

_INTEGER_CODES = (1, 2, 3, 4)  # int8 to int64 among torch's ScalarTypes


def value_sized(module: Any, integers: frozenset[int]) -> str:
    """Name the first such operation, "" if there is none. `integers`: places of arguments of whole numbers."""
    graph = module.inlined_graph
    arguments = list(graph.inputs())[1:]
    positions = frozenset(each.debugName() for place, each in enumerate(arguments) if place in integers)
    texts = any(str(each.type()) not in _NUMBERS_ALONE for each in arguments)
    return next(chain(_read(graph), _found(graph, positions, loops=0, conditional=False, texts=texts)), "")


def _read(block: Any) -> Iterator[str]:
    """Find where numbers of a tensor become numbers or truth values of the program, which decide sizes or an `if`."""
    for node in block.nodes():
        if node.kind() not in _ABOUT and any(map(_has_tensors, node.inputs())):
            given = [each for each in node.outputs() if str(each.type()) != "NoneType"]
            if not (all(map(_has_tensors, given)) or _is_size(next(iter(node.inputs()))) or _only_raises(given)):
                yield node.kind()
        for inner in node.blocks():
            yield from _read(inner)


def _only_raises(values: list[Any]) -> bool:
    """Whether an `if` that decides by them does nothing but raise an error, as `assert` does."""
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


def _found(block: Any, positions: frozenset[str], *, loops: int, conditional: bool, texts: bool) -> Iterator[str]:
    """Look through a block, which is inside of so many loops, and of an `if` or `while` that texts decide or not."""
    for node in block.nodes():
        kind = node.kind()
        if (kind in _SIZED and _takes_values(node)) or (
            kind in _GROWS and _is_list(node) and (conditional or _spells(node, loops))
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
            yield kind  # torchvision::nms, for one.
        for inner in node.blocks():
            yield from _found(
                inner,
                positions,
                loops=loops + (kind == "prim::Loop"),
                conditional=conditional or (texts and (kind == "prim::If" or _ends_early(kind, inner))),
                texts=texts,
            )


def _ends_early(kind: str, body: Any) -> bool:
    """Whether it is the body of a `while`, or of a `for` with a `break`."""
    return kind == "prim::Loop" and next(iter(body.outputs())).node().kind() != "prim::Constant"


def _takes_values(node: Any) -> bool:
    return _is_tensor(next(iter(node.inputs()))) or _is_list(node)


def _is_list(node: Any) -> bool:
    return str(next(iter(node.inputs())).type()).startswith("List[")


def _counts_are_a_tensor(node: Any) -> bool:
    """Counts come second; torch.repeat_interleave(counts) has nothing else."""
    given = list(node.inputs())
    return _is_tensor(given[1]) or (node.kind() == "aten::repeat_interleave" and len(given) == len(("counts", "size")))


def _is_size(value: Any) -> bool:
    """Numbers that come from sizes come through prim::NumToTensor, where a model was traced."""
    return _is_tensor(value) and _comes_from_sizes(value.node())


def _spells(node: Any, loops: int) -> bool:
    """A list that a single loop fills has a text for each row; a loop in a loop may go over the letters of a text."""
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
    """Give the tensors among the indices; of a list that is not written there, the list itself."""
    given = list(node.inputs())[1]
    if given.node().kind() != "prim::ListConstruct":
        return [given]
    return [each for each in given.node().inputs() if str(each.type()) != "NoneType"]


def _is_index(value: Any, positions: frozenset[str]) -> bool:
    """Whether a tensor surely holds positions; a mask and what cannot be told do not."""
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
    return kind in _ALIKE and _is_index(next(iter(node.inputs())), positions)


def _is_tensor(value: Any) -> bool:
    return isinstance(value.type(), torch.TensorType)
