"""KernelSHAP compared with the definition of Shapley values and its properties."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.kernel_shap import Game, choose_coalitions, shapley
from triton_operator.explain.types import Bools, Floats

values = st.floats(-10, 10, allow_nan=False, width=32)


def game_of(table: Floats) -> Game:
    """A game whose values are in a table of 2^players numbers."""
    return lambda keep: table[keep @ (1 << np.arange(keep.shape[1]))]


def by_definition(table: Floats, players: int) -> Floats:
    """The mean gain of a player over all orders of the players."""
    shares = np.zeros(players)
    for player in range(players):
        others = [each for each in range(players) if each != player]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for chosen in combinations(others, size):
                before = sum(1 << each for each in chosen)
                shares[player] += weight * (table[before | 1 << player] - table[before])
    return shares


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, Floats]:
    """A game of one to six players."""
    players = draw(st.integers(1, 6))
    return players, np.array(draw(st.lists(values, min_size=2**players, max_size=2**players)))


def additive(weights: Floats) -> Game:
    """Players without interactions."""
    return lambda keep: keep @ weights


def pairs(players: int) -> Game:
    """Two neighbours have a value only together, so the game is smooth and far from additive."""
    return lambda keep: np.tanh(0.4 * (keep[:, :-1] & keep[:, 1:]).sum(axis=1) - 0.05 * players)


@settings(deadline=None)
@given(tables())
def test_a_small_game_is_solved_exactly(drawn: tuple[int, Floats]) -> None:
    players, table = drawn
    result = shapley(game_of(table), players, samples=64)
    assert np.allclose(result.shares, by_definition(table, players), atol=1e-8)
    assert (result.base, result.full, result.error) == (table[0], table[-1], 0)


@settings(deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_shares_add_up_to_the_whole_gain(drawn: tuple[int, Floats], seed: int) -> None:
    """Also if most coalitions were not evaluated."""
    players, table = drawn
    result = shapley(game_of(table), players, samples=min(2**players, 2 + 2 * players), seed=seed)
    assert result.shares.sum() == pytest.approx(table[-1] - table[0], abs=1e-8)


@settings(deadline=None)
@given(tables(), st.data())
def test_a_player_who_changes_nothing_gets_nothing(drawn: tuple[int, Floats], data: st.DataObject) -> None:
    players, table = drawn
    dummy = data.draw(st.integers(0, players - 1))
    changes_nothing = table[np.arange(len(table)) & ~(1 << dummy)]
    assert shapley(game_of(changes_nothing), players, samples=64).shares[dummy] == pytest.approx(0, abs=1e-8)


@settings(deadline=None)
@given(tables(), st.data())
def test_players_who_do_the_same_get_the_same(drawn: tuple[int, Floats], data: st.DataObject) -> None:
    players, table = drawn
    one, other = data.draw(st.integers(0, players - 1)), data.draw(st.integers(0, players - 1))
    numbers = np.arange(len(table))
    swapped = numbers & ~(1 << one | 1 << other) | (numbers >> one & 1) << other | (numbers >> other & 1) << one
    shares = shapley(game_of(table + table[swapped]), players, samples=64).shares
    assert shares[one] == pytest.approx(shares[other], abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 40), st.integers(0, 1000))
def test_an_additive_game_is_solved_exactly_even_by_a_sample(players: int, seed: int) -> None:
    """Its gains are exactly linear."""
    weights = np.random.default_rng(seed).normal(size=players)
    result = shapley(additive(weights), players, samples=12 * players, seed=seed)
    assert np.allclose(result.shares, weights, atol=1e-6)
    assert result.error == pytest.approx(0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 1000), st.integers(0, 10))
def test_at_most_the_permitted_coalitions_are_evaluated(players: int, more: int, seed: int) -> None:
    """None twice, and not the empty and the full one, which are always evaluated."""
    samples = 2 + 2 * players + more
    coalitions = choose_coalitions(players, samples, seed)
    assert len(coalitions.keep) + 2 <= max(samples, 2)
    assert len(np.unique(coalitions.keep, axis=0)) == len(coalitions.keep) == len(coalitions.weights)
    sizes = coalitions.keep.sum(axis=1)
    assert not len(sizes) or 0 < sizes.min() <= sizes.max() < players


def test_too_few_evaluations_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(ExplanationError, match="samples: 20 pieces need at least 42 evaluations, but 30 are allowed"):
        shapley(additive(np.ones(20)), 20, samples=30)


def test_the_same_seed_gives_the_same_shares() -> None:
    results = [shapley(pairs(20), 20, samples=300, seed=seed).shares for seed in (1, 1, 2)]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


@pytest.mark.parametrize("samples", [200, 800])
def test_the_standard_error_matches_the_actual_error(samples: int) -> None:
    """Between half and twice, over ten seeds, compared with the exact values of a game of twelve players."""
    exact = shapley(pairs(12), 12, samples=2**12)
    assert exact.error == 0
    results = [shapley(pairs(12), 12, samples=samples, seed=seed) for seed in range(10)]
    off = np.sqrt(np.mean([(each.shares - exact.shares) ** 2 for each in results]))
    stated = np.mean([each.error for each in results])
    assert 0.5 < stated / off < 2


def counted(game: Game) -> tuple[Game, list[int]]:
    """The game, and a list of the number of coalitions in each call."""
    calls: list[int] = []

    def ask(keep: Bools) -> Floats:
        calls.append(len(keep))
        return game(keep)

    return ask, calls


def test_all_coalitions_are_evaluated_in_one_call() -> None:
    """So that a model behind a network gets large batches."""
    game, calls = counted(pairs(16))
    shapley(game, 16, samples=500)
    assert len(calls) == 1
    assert calls[0] <= 500
