"""Outcomes of `prepare` always fit into a termination message, and any message is decoded without an exception."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triton_operator.api.text import escape
from triton_operator.triton.prepare_contract.outcome import (
    LIMIT,
    Prepared,
    PreparedModel,
    PrepareFailed,
    encode,
    read_prepare,
)

ANY_TEXT = st.text(st.characters(), max_size=40)  # Includes lone surrogates, which file names may contain.
LONG_TEXT = st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 400))
DIGEST = "sha256:" + "0123456789abcdef" * 4
MODELS = st.lists(
    st.builds(
        PreparedModel,
        name=LONG_TEXT,
        versions=st.lists(st.integers(1, 10**18).map(str), max_size=120).map(tuple),
        digest=st.sampled_from(["", DIGEST]),
    ),
    max_size=20,
).map(tuple)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reason=LONG_TEXT, model=LONG_TEXT, message=LONG_TEXT)
def test_a_failure_always_fits_and_is_read_back(reason: str, model: str, message: str) -> None:
    """The outcome has at most 2048 bytes on one line, and keeps at least the beginning of the message."""
    line = encode(PrepareFailed(reason, model, message))
    assert len(line) <= LIMIT
    assert b"\n" not in line
    back = read_prepare(line.decode())
    assert isinstance(back, PrepareFailed)
    clean = escape(message)
    assert back.message == clean or (back.message.endswith("…") and clean.startswith(back.message[:-1]))


def test_a_long_failure_uses_the_room_there_is() -> None:
    """The message is truncated only as far as necessary: the unused space is smaller than one encoded character."""
    assert LIMIT - 8 < len(encode(PrepareFailed("ConfigInvalid", "digits", "数" * 5000))) <= LIMIT
    assert LIMIT - 8 < len(encode(PrepareFailed("ConfigInvalid", "digits", "\x01" * 5000))) <= LIMIT


def test_a_short_failure_is_whole() -> None:
    """A message that fits is not truncated."""
    failure = PrepareFailed("ModelNotFound", "digits", 'no folder "digits" in the repository, there: 数字')
    assert read_prepare(encode(failure).decode()) == failure


def test_an_outcome_that_anything_wrote_cannot_steer_the_terminal_of_who_reads_the_status() -> None:
    """An image of the user can write any outcome, and JSON escapes can encode characters that the log does not show."""
    failed = read_prepare(r'{"outcome":"Failed","reason":"X\u001b[2J","model":"a\u202eb","message":"c\n::error::d"}')
    assert failed == PrepareFailed(r"X\x1b[2J", r"a\u202eb", r"c\n::error::d")
    model = r'{"name":"a\u0007","versions":["1\u001b"],"digest":"\r"}'
    prepared = read_prepare(f'{{"outcome":"Prepared","models":[{model}]}}')
    assert prepared == Prepared((PreparedModel(r"a\x07", (r"1\x1b",), r"\r"),))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MODELS)
def test_success_always_fits_and_is_read_back(models: tuple[PreparedModel, ...]) -> None:
    """The outcome has at most 2048 bytes; it keeps the first models, each with its newest versions."""
    line = encode(Prepared(models))
    assert len(line) <= LIMIT
    back = read_prepare(line.decode())
    assert isinstance(back, Prepared)
    for ours, theirs in zip(back.models, models, strict=False):
        assert ours.versions == theirs.versions[len(theirs.versions) - len(ours.versions) :]
        assert ours.digest in {"", theirs.digest}


def test_sixteen_models_keep_names_and_versions_and_lose_digests_first() -> None:
    """16 models are the maximum of the API."""
    models = tuple(PreparedModel(f"model-with-a-rather-long-name-{n:02d}", ("1", "2"), DIGEST) for n in range(16))
    back = read_prepare(encode(Prepared(models)).decode())
    assert isinstance(back, Prepared)
    assert [(model.name, model.versions) for model in back.models] == [(m.name, m.versions) for m in models]
    assert {model.digest for model in back.models} == {""}


def test_three_models_keep_their_digests() -> None:
    """If all models fit, the digests are kept."""
    prepared = Prepared(tuple(PreparedModel(f"model-{n}", ("1",), DIGEST) for n in range(3)))
    assert read_prepare(encode(prepared).decode()) == prepared


def test_the_wire_form_stays() -> None:
    """Pods of an older operator version continue to run, so fields can be added, but not changed."""
    line = encode(Prepared((PreparedModel("digits", ("1",), "sha256:ab"),)))
    assert json.loads(line) == {
        "outcome": "Prepared",
        "models": [{"name": "digits", "versions": ["1"], "digest": "sha256:ab"}],
    }
    assert json.loads(encode(PrepareFailed("ModelNotFound", "digits", "gone"))) == {
        "outcome": "Failed",
        "reason": "ModelNotFound",
        "model": "digits",
        "message": "gone",
    }


def test_the_last_outcome_counts_whatever_stands_around_it() -> None:
    """The message also contains log lines, an older outcome, and other text at the end."""
    old, new = PrepareFailed("PrepareFailed", "", "first"), Prepared((PreparedModel("digits", ("3",)),))
    text = f"warning: x\n{encode(old).decode()}\n{{}}\n{encode(new).decode()}\r\n[1, 2]\nbye\n"
    assert read_prepare(text) == new


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "Killed",
        "null",
        "[]",
        '{"outcome": "Prepared"}',
        '{"outcome": "Other", "models": []}',
        '{"outcome": "Prepared", "models": [{"name": 3}]}',
        '{"outcome": "Failed", "reason": "X", "model": null, "message": "y"}',
        '"}{"outcome":"Prepared","models":[]}',
        '{"outcome":"Failed","reason":"X","model":"m","message":"cut he',
        "[" * 100_000,
        '{"a":' * 100_000,
        "\ud800",
    ],
)
def test_a_text_without_an_outcome_is_none(text: str) -> None:
    """The text contains no valid outcome, although it may look similar."""
    assert read_prepare(text) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters()), st.integers(0, 200), st.integers(0, 200))
def test_reading_never_raises(noise: str, front: int, back: int) -> None:
    """The outcome is truncated at any position and surrounded by any text."""
    line = encode(Prepared((PreparedModel("digits", ("1", "2"), DIGEST),))).decode()
    read_prepare(noise + line[front : len(line) - back] + noise)
