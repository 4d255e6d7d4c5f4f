"""Operators that leave the sandbox are found in every form in which torch loads them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from tests.archives import with_statements
from tests.paths import ROOT
from triton_operator.scan.archive import scan_code
from triton_operator.scan.code import check_text
from triton_operator.triton.model_file.archive import Archive

MODEL = (ROOT / "model_repository" / "linear_regression" / "1" / "model.pt").read_bytes()

# Statements that torch loads, and the operator in the graph that it makes of them.
LOADED = {
    "plain": ('_9 = torch.save(0, "{out}")', "aten::save"),
    "an alias": ('t = torch\n    _9 = t.save(0, "{out}")', "aten::save"),
    "getattr": ('_9 = getattr(torch, "save")(0, "{out}")', "aten::save"),
    "getattr with two texts": ('_9 = getattr(torch, "sa" "ve")(0, "{out}")', "aten::save"),
    "a line break": ('_9 = (torch.\n  save)(0, "{out}")', "aten::save"),
    "a comment": ('_9 = (torch. # x.\n  # y\n  save)(0, "{out}")', "aten::save"),
    "a hash in a text": ("_9 = ('#', torch.\n  save(0, \"{out}\"))", "aten::save"),
    "a backslash": ('_9 = torch.\\\n  save(0, "{out}")', "aten::save"),
    "a carriage return": ('_9 = torch.\r  save(0, "{out}")', "aten::save"),
    "a form feed": ('_9 = torch.\f save(0, "{out}")', "aten::save"),
    "blanks": ('_9 = torch . save (0, "{out}")', "aten::save"),
    "a quoted quote": ("_8 = '''\"'''\n    _9 = torch.save(0, '{out}')", "aten::save"),
    "a namespace": ('_9 = ops.aten.save(0, "{out}")', "aten::save"),
    "an alias of ops": ('o = ops\n    _9 = o.aten.save(0, "{out}")', "aten::save"),
    "getattr of ops": ('_9 = getattr(ops, "aten").save(0, "{out}")', "aten::save"),
    "reading": ('_9 = torch.from_file("{out}", False, 0)\n    print(_9)', "aten::from_file"),
    "memory": ("_9 = ops.inductor._reinterpret_tensor(torch.ones([1]), [1], [1], 0)\n    print(_9)", "inductor::"),
}


def findings(code: bytes) -> list[str]:
    return [found.message for found in scan_code(Archive(io.BytesIO(code)), "model.pt")]


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:FutureWarning")
@pytest.mark.parametrize("case", LOADED)
def test_every_form_that_torch_loads_is_found(tmp_path: Path, case: str) -> None:
    statement, operator = LOADED[case]
    crafted = with_statements(MODEL, statement.format(out=tmp_path / "out"))
    module = torch.jit.load(io.BytesIO(crafted))  # type: ignore[no-untyped-call]
    assert operator in str(module.inlined_graph)
    assert findings(crafted) != []


def test_the_control_has_no_finding() -> None:
    """A harmless statement in the same place."""
    assert findings(with_statements(MODEL, "_9 = torch.ones([1])")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("    x = ops.prim.rpc_sync(x)", "connects to other processes (prim::rpc_sync)"),
        ("    x = ops.c10d.send(x)", "exchanges data with other processes (c10d::send)"),
        ("    x = ops.image.write_file(x)", "uses the custom operator image::write_file"),
        ("    x = __torch__.torch.classes.dist_c10d.TCPStore(x)", "class dist_c10d::TCPStore, which connects"),
        ("    x = __torch__.torch.classes.mine.Cache(x)", "uses the custom class mine::Cache"),
        ("    c = __torch__.torch.classes", "hides which class it uses"),
        ("    c = __torch__.torch", "hides which class it uses"),
        ("    c = __torch__ .torch.classes.mine.Cache", "hides which class it uses"),
        ("    x = (ops . c10d.send)(x)", "hides which operator it uses"),
        ('    x = getattr(torch,  "save")', "hides the name of an attribute (getattr)"),
        ("    g = getattr", "hides the name of an attribute (getattr)"),
    ],
)
def test_what_else_is_found(line: str, words: str) -> None:
    (found,) = check_text(f"def f(x):\n{line}\n")
    assert found.line == 2
    assert words in found.message


@pytest.mark.parametrize(
    "text",
    [
        "  ops : __torch__.torch.nn.modules.linear.Linear",
        "    ops0 = self.ops",
        '    _0 = getattr(self.layers, "0")',
        '    _0 = getattr(_1, "a b")',
        "    classes = self.classes",
        "    save = 1",
        "    saved = self.saved",
        "    x = ops.quantized.linear(x, y)",
        "    x = ops.torchvision.nms(x, y, 0.5)",
        "    c = __torch__.torch.classes.rnn.CellParamsBase",
        "    ops.prim.data(x)",
    ],
)
def test_what_torch_writes_for_harmless_models(text: str) -> None:
    assert list(check_text(text)) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "piece",
    [
        "save ",
        "save\n",
        ".save",
        "# \n",
        ". #",
        "getattr(",
        "getattr(a",
        "ops.",
        "__torch__.",
        "__torch__.a",
        "a__torch__.",
        "\\\n",
        " ",
    ],
)
def test_hostile_code_is_read_in_linear_time(piece: str) -> None:
    """The time limit detects quadratic time, which would take hours."""
    text = piece * ((2 << 20) // len(piece)) + "x.save"
    assert sum(1 for _ in check_text(text)) > 0
