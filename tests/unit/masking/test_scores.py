"""Recognisers are compared with the marked sentences span by span."""

from __future__ import annotations

from tests.unit.masking.corpus import Sentence, Span
from tests.unit.masking.scores import Score, matches, scores

NAME = Span(0, 4, "NAME")
ADDRESS = Span(0, 10, "ADDRESS")


def test_the_ends_and_the_type_of_a_span_count() -> None:
    assert matches(NAME, Span(0, 4, "NAME"))
    assert not matches(NAME, Span(0, 5, "NAME"))
    assert not matches(NAME, Span(1, 4, "NAME"))
    assert not matches(NAME, Span(0, 4, "PHONE"))


def test_an_address_may_differ_by_a_fifth() -> None:
    assert matches(ADDRESS, Span(2, 10, "ADDRESS"))
    assert not matches(ADDRESS, Span(3, 10, "ADDRESS"))
    assert not matches(ADDRESS, Span(0, 13, "ADDRESS"))
    assert not matches(ADDRESS, Span(11, 20, "ADDRESS"))


def test_precision_and_recall_are_counted_by_type() -> None:
    sentences = [Sentence("Jane 1", (NAME, Span(5, 6, "PHONE"))), Sentence("none", ())]
    counted = scores(sentences, lambda _: [NAME])
    assert counted == {"NAME": Score(1, 2, 1), "PHONE": Score(0, 0, 1)}
    assert (counted["NAME"].precision, counted["NAME"].recall) == (0.5, 1)
    assert (counted["PHONE"].precision, counted["PHONE"].recall) == (1, 0)
