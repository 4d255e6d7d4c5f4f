"""Shapley values from the outputs of a model: KernelSHAP.

Input: a game, which assigns a value to each coalition of players (the pieces of an input that are kept). Output: the
Shapley value of each player. Lundberg and Lee (2017, "A Unified Approach to Interpreting Model Predictions", theorem 2)
show that these are the coefficients of a weighted linear regression on coalitions, with the weight (M - 1) / (C(M, s) s
(M - s)) for a coalition of s of M players. If all 2^M coalitions can be evaluated, the result is exact. Otherwise,
small and large coalitions, which have the largest weights, are all evaluated, and the others are sampled, each with its
complement (Covert and Lee, 2021, "Improving KernelSHAP", which more than halves the noise). The standard error of a
sampled result is estimated by the bootstrap. Pure, except for the game.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.types import Bools, Floats

Game = Callable[[Bools], Floats]
"""Maps coalitions [n, players], True for players that are kept, to values [n]."""

_ENDS = 2
"""The empty and the full coalition, whose values every explanation reports."""
_REDRAWN, _LEAST_REDRAWN, _REDRAWN_PLAYERS = 25, 5, 4000
"""Bootstrap samples: sufficient for two digits of a standard error; fewer above 160 players, where each takes
seconds."""


@dataclass(frozen=True)
class Values:
    """`shares` [players] add up to `full` - `base`; `error` is their standard error, or 0 if nothing was sampled."""

    shares: Floats
    base: float
    full: float
    error: float


@dataclass(frozen=True)
class Coalitions:
    """The coalitions to evaluate, [n, players], without the empty and the full one, and their weights, [n].

    The last 2 x len(`drawn`) are the sampled coalitions, once each, followed by their complements; `drawn` is the
    number of times that each was sampled.
    """

    keep: Bools
    weights: Floats
    drawn: Floats


def shapley(game: Game, players: int, *, samples: int, seed: int = 0) -> Values:
    """Return the Shapley values from at most `samples` evaluations; raises ExplanationError if these are too few."""
    coalitions = choose_coalitions(players, samples, seed)
    ends = np.array([[False] * players, [True] * players])
    values = game(np.concatenate([ends, coalitions.keep]))
    base, full = float(values[0]), float(values[1])
    gains, total = values[_ENDS:] - base, full - base
    shares = solve(coalitions.keep, coalitions.weights, gains, total)
    return Values(shares, base, full, _standard_error(coalitions, gains, total, seed))


def least_samples(players: int) -> int:
    """Minimum number of evaluations: all coalitions, or the empty and the full one and two for each player."""
    every: int = 2**players
    return min(every, _ENDS + 2 * players)


def choose_coalitions(players: int, samples: int, seed: int) -> Coalitions:
    """Return all coalitions if `samples` permits; otherwise the heaviest, and a sample of the others."""
    if players < 1:
        raise ExplanationError("row", "is empty: there is nothing to attribute")
    if 2**players <= samples:
        return _all(players)
    least = least_samples(players)
    if samples < least:
        raise ExplanationError(
            "samples",
            f"{players} pieces need at least {least} evaluations, but {samples} are allowed; "
            "allow more, or use occlusion",
        )
    return _heaviest_and_sampled(players, samples - _ENDS, np.random.default_rng(seed))


def solve(keep: Bools, weights: Floats, gains: Floats, total: float) -> Floats:
    """Return the weighted least squares fit of `gains` among the shares that add up to `total`.

    Starts with equal shares and adds a vector whose sum is 0, which keeps the total and treats all players alike.
    """
    players = keep.shape[1]
    equal = np.full(players, total / players)
    if not len(keep):
        return equal
    member = keep.astype(np.float64)
    centred = member - member.mean(axis=1, keepdims=True)
    weighed = centred.T * weights
    moved, *_ = np.linalg.lstsq(weighed @ centred, weighed @ (gains - member @ equal), rcond=None)
    moved -= moved.mean()
    return np.asarray(equal + moved, dtype=np.float64)


def _all(players: int) -> Coalitions:
    """Return every coalition except the empty and the full one."""
    numbers = np.arange(1, 2**players - 1)
    keep = (numbers[:, None] >> np.arange(players)) % 2 == 1
    weights = np.array([_weight_of_size(players, size) / comb(players, size) for size in range(1, players)])
    return Coalitions(keep, weights[keep.sum(axis=1) - 1], drawn=np.empty(0))


def _heaviest_and_sampled(players: int, budget: int, random: np.random.Generator) -> Coalitions:
    """Take whole pairs of sizes from both ends while the budget covers them; then sample."""
    keep: list[Bools] = []
    weights: list[Floats] = []
    sizes = list(range(1, players // 2 + 1))
    while True:
        size = sizes[0]
        both = {size, players - size}
        count = sum(comb(players, each) for each in both)
        rest = sum(_pair_weight(players, each) for each in sizes)
        if count > budget * _pair_weight(players, size) / rest:
            break
        for each in both:
            keep.append(_subsets(players, each))
            weights.append(np.full(len(keep[-1]), _weight_of_size(players, each) / comb(players, each)))
        budget -= count
        sizes.pop(0)
    sampled, drawn = _sample(players, sizes, budget // 2, random)
    keep += [sampled, ~sampled]
    weights.append(np.tile(drawn, 2) * rest / (2 * drawn.sum()))
    return Coalitions(np.concatenate(keep), np.concatenate(weights), drawn)


def _sample(players: int, sizes: list[int], draws: int, random: np.random.Generator) -> tuple[Bools, Floats]:
    """Sample by the weights of sizes; a coalition and its complement count as the one without the first player."""
    odds = np.array([_pair_weight(players, size) for size in sizes])
    drawn = random.choice(sizes, size=max(1, draws), p=odds / odds.sum())
    ranks = random.random((len(drawn), players)).argsort(axis=1).argsort(axis=1)
    chosen = ranks < drawn[:, None]
    found, counts = np.unique(chosen ^ chosen[:, :1], axis=0, return_counts=True)
    return found, counts.astype(np.float64)


def _standard_error(coalitions: Coalitions, gains: Floats, total: float, seed: int) -> float:
    """Estimate the standard error over all players by the bootstrap, which samples from the sample again.

    A complement has the same weight as its coalition and the negated centred row, so each pair is one row here.
    """
    pairs = len(coalitions.drawn)
    if not pairs:
        return 0.0
    member = coalitions.keep.astype(np.float64)
    centred = member - member.mean(axis=1, keepdims=True)
    left = gains - member @ np.full(member.shape[1], total / member.shape[1])
    whole, half = slice(0, len(member) - 2 * pairs), slice(len(member) - 2 * pairs, len(member) - pairs)
    matrix = (centred[whole].T * coalitions.weights[whole]) @ centred[whole]
    vector = (centred[whole].T * coalitions.weights[whole]) @ left[whole]
    random, draws = np.random.default_rng(seed + 1), int(coalitions.drawn.sum())
    results = []
    for _ in range(min(_REDRAWN, max(_LEAST_REDRAWN, _REDRAWN_PLAYERS // member.shape[1]))):
        weights = coalitions.weights[half] * random.multinomial(draws, coalitions.drawn / draws) / coalitions.drawn
        weighed = centred[half].T * weights
        again = matrix + 2 * weighed @ centred[half], vector + weighed @ (left[half] - left[-pairs:])
        results.append(np.linalg.lstsq(*again, rcond=None)[0])
    return float(np.sqrt(np.var(results, axis=0, ddof=1).mean()))


def _subsets(players: int, size: int) -> Bools:
    members = np.array(list(combinations(range(players), size)))
    keep = np.zeros((len(members), players), dtype=np.bool_)
    keep[np.arange(len(members))[:, None], members] = True
    return keep


def _weight_of_size(players: int, size: int) -> float:
    """Return the total kernel weight of all coalitions of a size."""
    return (players - 1) / (size * (players - size))


def _pair_weight(players: int, size: int) -> float:
    """Return the weight of a size and of the size of its complements, which may be equal."""
    return sum(_weight_of_size(players, each) for each in {size, players - size})
