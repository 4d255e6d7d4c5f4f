"""The mapping of inputs to arguments of forward(): the rules of Triton's native pytorch backend."""

from __future__ import annotations

from typing import Any

import pytest

from tests.triton_backend import load, put

interface = load()["interface"]
Argument = interface.Argument
X, Y = Argument("x"), Argument("y")


def config(*inputs: str, outputs: tuple[str, ...] = ("out",)) -> dict[str, Any]:
    """A config with inputs and outputs of these names."""
    return {"input": [put(name, "FP32", 2) for name in inputs], "output": [put(name, "FP32", 2) for name in outputs]}


@pytest.mark.parametrize(
    ("names", "arguments"),
    [
        (("x", "y"), ["first", "second"]),
        (("y", "x"), ["second", "first"]),
        (("INPUT__0", "INPUT__1"), ["first", "second"]),
        (("b__1", "a__0"), ["second", "first"]),
        (("left", "right"), ["first", "second"]),
        (("y", "other"), ["first", "second"]),
    ],
)
def test_inputs_become_arguments_by_name_by_index_or_by_order(names: tuple[str, ...], arguments: list[str]) -> None:
    """All names are arguments: by name. All end in __<index>: by index. Otherwise, the config's order."""
    result = interface.read_interface(config(*names), [X, Y])
    assert result.arguments(["first", "second"]) == (arguments, {})


def test_arguments_after_a_gap_go_by_name() -> None:
    """So that the omitted argument has its default."""
    result = interface.read_interface(config("x", "z"), [X, Argument("y", "int", has_default=True), Argument("z")])
    assert result.arguments(["first", "third"]) == ([], {"x": "first", "z": "third"})


def test_an_optional_input_that_was_not_sent_is_left_out() -> None:
    """By name; its default is used."""
    model_config = config("x", "y")
    model_config["input"][1]["optional"] = True
    result = interface.read_interface(model_config, [X, Argument("y", has_default=True)])
    assert result.arguments(["first", None]) == ([], {"x": "first"})


def test_a_dictionary_gets_all_inputs_by_name() -> None:
    """forward(self, inputs: Dict[str, Tensor])."""
    result = interface.read_interface(config("x", "y"), [Argument("inputs", "Dict[str, Tensor]")])
    assert result.arguments([1, 2]) == ([{"x": 1, "y": 2}], {})


@pytest.mark.parametrize(("names", "picked"), [(("a", "b"), [1, 2]), (("out__1", "out__0"), [2, 1]), (("o__2",), [3])])
def test_outputs_are_picked_by_index_or_by_order(names: tuple[str, ...], picked: list[int]) -> None:
    """They are the elements of a tuple."""
    result = interface.read_interface(config("x", outputs=names), [X])
    assert result.pick_outputs((1, 2, 3)) == picked


def test_a_list_of_strings_is_one_result() -> None:
    """Only a tuple has several results."""
    assert interface.read_interface(config("x"), [X]).pick_outputs(["a", "b"]) == [["a", "b"]]


def test_a_missing_result_is_reported() -> None:
    """The config and the model disagree."""
    result = interface.read_interface(config("x", outputs=("a", "b")), [X])
    with pytest.raises(interface.InterfaceError, match=r"returned 1 result\(s\), so there is none for output b"):
        result.pick_outputs("only")


@pytest.mark.parametrize(
    ("model_config", "forward", "words"),
    [
        (config("x"), [X, Y], r"declares 1 input\(s\) \(x\), but the model's forward\(\) accepts \(x, y\)"),
        (config("a", "b"), [X], r"declares 2 input\(s\) \(a, b\), but the model's forward\(\) accepts \(x\)"),
        (config("y"), [X, Argument("y", has_default=True)], r"accepts \(x, y=…\)"),
        (config("a__0", "b__2"), [X, Y], "indices must be 0 to 1, each once"),
        ({"output": []}, [X], "declares no input"),
        ({"input": [put("x", "FP32", 1)]}, [X], "declares no output"),
    ],
)
def test_a_mismatch_is_reported_at_loading(model_config: dict[str, Any], forward: list[Any], words: str) -> None:
    """In one sentence that names both sides."""
    with pytest.raises(interface.InterfaceError, match=words):
        interface.read_interface(model_config, forward)
