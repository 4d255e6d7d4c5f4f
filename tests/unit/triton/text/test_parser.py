"""The parser of config.pbtxt, compared with protobuf: it reads any ModelConfig that protobuf writes."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as ProtoMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from triton_operator.triton.text.parser import ConfigTextError, Identifier, Message, Value, parse

DESCRIPTOR: Descriptor = model_config_pb2.ModelConfig.DESCRIPTOR
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Generate any value of a scalar field."""
    if field.type in _INTEGERS:
        return st.integers(*_INTEGERS[field.type])
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return st.floats(width=32)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    assert field.type == FieldDescriptor.TYPE_STRING, field.full_name
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Generate values of one field; messages are nested at most `depth` levels."""
    if field.message_type is None:
        return scalars(field)
    return messages(field.message_type, depth - 1)


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 3) -> dict[str, Any]:
    """Generate the content of a message as a mapping from field to value, with a few of its fields."""
    usable = [field for field in descriptor.fields if depth > 0 or field.message_type is None]
    chosen = draw(st.lists(st.sampled_from(usable), max_size=4, unique_by=lambda field: field.name)) if usable else []
    content: dict[str, Any] = {}
    for field in chosen:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            content[field.name] = draw(st.dictionaries(scalars(key), values(value, depth), max_size=2))
        elif field.is_repeated:
            content[field.name] = draw(st.lists(values(field, depth), max_size=3))
        else:
            content[field.name] = draw(values(field, depth))
    return content


def fill(message: ProtoMessage, content: dict[str, Any]) -> None:
    """Write generated content to a protobuf message."""
    for name, value in content.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        target = getattr(message, name)
        if isinstance(value, dict) and field.is_repeated:
            for key, entry in value.items():
                if isinstance(entry, dict):
                    fill(target[key], entry)
                else:
                    target[key] = entry
        elif isinstance(value, dict):
            target.SetInParent()
            fill(target, value)
        elif field.is_repeated and field.message_type is not None:
            for entry in value:
                fill(target.add(), entry)
        elif field.is_repeated:
            target.extend(value)
        else:
            setattr(message, name, value)


def assert_same(parsed: Message, message: ProtoMessage) -> None:
    """Assert that the parser read exactly the set fields, with their values."""
    assert set(parsed) == {field.name for field, _ in message.ListFields()}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            assert_same_map(parsed[field.name], value, field)
            continue
        written = list(value) if field.is_repeated else [value]
        assert len(parsed[field.name]) == len(written)
        for ours, theirs in zip(parsed[field.name], written, strict=True):
            assert_same_value(ours, theirs, field)


def assert_same_map(parsed: list[Value], value: Any, field: FieldDescriptor) -> None:
    """Assert that a map was read as entries; protobuf omits a key or value that is the zero value of its type."""
    assert len(parsed) == len(value)
    assert field.message_type is not None
    key_field, value_field = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    for entry in parsed:
        assert isinstance(entry, dict)
        content = value[entry["key"][0] if "key" in entry else key_field.default_value]
        if "value" in entry:
            assert_same_value(entry["value"][0], content, value_field)
        else:
            assert not content if value_field.message_type is None else not content.ListFields()


def assert_same_value(ours: Value, theirs: Any, field: FieldDescriptor) -> None:
    """Assert that one value is equal and has the type of its field."""
    if isinstance(ours, dict):
        assert_same(ours, theirs)
    elif field.enum_type is not None:
        assert isinstance(ours, Identifier)
        assert field.enum_type.values_by_name[ours].number == theirs
    elif field.type == FieldDescriptor.TYPE_BOOL:
        assert isinstance(ours, Identifier)
        assert ours == ("true" if theirs else "false")
    elif field.type in {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}:
        number = float(ours)
        if field.type == FieldDescriptor.TYPE_FLOAT and math.isfinite(number):
            number = struct.unpack("f", struct.pack("f", number))[0]
        assert number == theirs or (math.isnan(number) and math.isnan(theirs))
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=messages(DESCRIPTOR),
    style=st.fixed_dictionaries(
        {
            "as_utf8": st.booleans(),
            "as_one_line": st.booleans(),
            "use_short_repeated_primitives": st.booleans(),
            "pointy_brackets": st.booleans(),
        }
    ),
)
def test_whatever_protobuf_prints_is_read_back(content: dict[str, Any], style: dict[str, Any]) -> None:
    """Parsing preserves the values of any configuration in any of protobuf's print styles."""
    message = model_config_pb2.ModelConfig()
    fill(message, content)
    assert_same(parse(text_format.MessageToString(message, **style)), message)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab_1.0xf-+{}<>[]:,;#\"'\\\n \té", max_size=30))
def test_hostile_text_is_read_or_refused_with_a_place(text: str) -> None:
    """The only possible exception is ConfigTextError, which contains the position of the error."""
    try:
        parse(text)
    except ConfigTextError as error:
        assert error.line >= 1  # noqa: PT017 -- both outcomes are valid
        assert error.column >= 1  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("a: 1 # comment\nb: 2", {"a": [1], "b": [2]}),
        ("a: 1, b: 2; c: 3", {"a": [1], "b": [2], "c": [3]}),
        ("a: 1 a: 2", {"a": [1, 2]}),
        ("a: [1, 2] a: 3", {"a": [1, 2, 3]}),
        ("a: []", {"a": []}),
        ("a { b: 1 }", {"a": [{"b": [1]}]}),
        ("a: { b: 1 }", {"a": [{"b": [1]}]}),
        ("a < b: 1 >", {"a": [{"b": [1]}]}),
        ("a [ { b: 1 }, < > ]", {"a": [{"b": [1]}, {}]}),
        ("a: 'x' \"y\"\n'z'", {"a": ["xyz"]}),
        (r"a: '\a\b\f\n\r\t\v\?\\\'\"'", {"a": ["\a\b\f\n\r\t\v?\\'\""]}),
        (r"a: '\344\275\240\xe5\xa5\xbd\u597D\U0001F600'", {"a": ["你好好😀"]}),
        (r"a: '\344' '\275\240'", {"a": ["你"]}),
        ("a: 0x1F b: 017 c: 0 d: -7 e: - 7", {"a": [31], "b": [15], "c": [0], "d": [-7], "e": [-7]}),
        (
            "a: 1.5 b: .5 c: 1. d: 2f e: 1e3 f: -1.5e-3F",
            dict(zip("abcdef", map(list, zip([1.5, 0.5, 1.0, 2.0, 1e3, -1.5e-3])), strict=True)),
        ),
        ("a: -inf b: KIND_CPU", {"a": [-math.inf], "b": ["KIND_CPU"]}),
    ],
)
def test_the_grammar(text: str, expected: Message) -> None:
    """Each grammar rule has a case with its expected values."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a", 1, 2, 'expected ":"'),
        ("a: 1\n  b 2", 2, 5, 'expected ":"'),
        ("a {\n b: 1", 1, 3, "not closed"),
        ("a < b: 1 }", 1, 10, 'found "}"'),
        ("}", 1, 1, 'found "}"'),
        ("a: 'x\n'", 1, 4, "does not end on its line"),
        ("a: 'x", 1, 4, "does not end on its line"),
        (r"a: '\q'", 1, 4, "unknown escape"),
        (r"a: '\xff'", 1, 4, "not UTF-8"),
        (r"a: '\ud800'", 1, 4, "not a Unicode character"),
        (r"a: '\777'", 1, 4, "does not fit into a byte"),
        ("a: 1x", 1, 4, "is not a number"),
        ("a: 1.2.3", 1, 4, "is not a number"),
        ("a: 09", 1, 4, "not an octal number"),
        (f"a: {'9' * 5000}", 1, 4, "too many digits"),
        (f"a: 0x{'f' * 100_000}", 1, 4, "too many digits"),
        (f"a: 0{'7' * 100_000}", 1, 4, "too many digits"),
        (f"a: 0x1{'0' * 16}", 1, 4, "more than 64 bits"),
        (f"a: {2**64}", 1, 4, "more than 64 bits"),
        ("a: 1,, b: 2", 1, 6, "name of a field"),
        ("a: [1 2]", 1, 7, 'expected ","'),
        ("a: [1,]", 1, 7, "expected a value"),
        ("a [1]", 1, 4, "after a colon"),
        ("a: - x", 1, 6, "expected a number"),
        ("a: @", 1, 4, "unexpected character"),
        ("[field]: 1", 1, 1, "name of a field"),
        ("a {" * 65 + "}" * 65, 1, 195, "nested more than 64"),
    ],
)
def test_a_mistake_is_shown_where_it_is(text: str, line: int, column: int, words: str) -> None:
    """The message describes the error, and the exception contains its line and column."""
    with pytest.raises(ConfigTextError, match=f"^line {line}, column {column}: ") as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", [f"0x{'f' * 16}", f"0X{'0' * 500}1", "01777777777777777777777", str(2**64 - 1), "-1"])
def test_every_number_of_64_bits_is_read_in_every_base(text: str) -> None:
    assert parse(f"a: {text}") == {"a": [int(text, 0 if text[:2].lower() == "0x" else 8 if text[0] == "0" else 10)]}
