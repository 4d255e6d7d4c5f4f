"""Shapley values from a model's answers alone: KernelSHAP.

Input: a game, which gives each coalition of players (pieces of an input that are kept) a value. Output: each player's
Shapley value. Lundberg and Lee (2017, "A Unified Approach to Interpreting Model Predictions", theorem 2) show that
these are the coefficients of a weighted linear regression on coalitions, with the weight
(M - 1) / (C(M, s) s (M - s)) for a coalition of s of M players. With enough evaluations for all 2^M coalitions the
result is exact; with fewer, small and large coalitions, which weigh most, are all asked and the rest are sampled, each
with its complement (Covert and Lee, 2021, "Improving KernelSHAP": that halves the noise and more). How far a sampled
result may be off is estimated by drawing from the sample again. Pure but for the game.
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
"""Coalitions [n, players] in, True for who is kept; values [n] out."""

_ENDS = 2
"""The coalitions of nobody and of everybody, whose values every explanation states."""
_REDRAWN, _LEAST_REDRAWN, _REDRAWN_PLAYERS = 25, 5, 4000
"""Bootstrap samples: enough for two digits of a standard error; fewer above 160 players, where each takes seconds."""


@dataclass(frozen=True)
class Values:
    """`shares` [players] add up to `full` - `base`; `error` is their standard error, 0 where nothing was sampled."""

    shares: Floats
    base: float
    full: float
    error: float


@dataclass(frozen=True)
class Coalitions:
    """Which coalitions are asked, [n, players], without the two ends, and how much each counts, [n].

    The last 2 x len(`drawn`) are the sample, once each, and then their complements; `drawn` says how often each came.
    """

    keep: Bools
    weights: Floats
    drawn: Floats


def shapley(game: Game, players: int, *, samples: int, seed: int = 0) -> Values:
    """Each player's Shapley value from at most `samples` evaluations; raises ExplanationError if they are too few."""
    asked = choose_coalitions(players, samples, seed)
    ends = np.array([[False] * players, [True] * players])
    values = game(np.concatenate([ends, asked.keep]))
    base, full = float(values[0]), float(values[1])
    gains, total = values[_ENDS:] - base, full - base
    shares = solve(asked.keep, asked.weights, gains, total)
    return Values(shares, base, full, _standard_error(asked, gains, total, seed))


def least_samples(players: int) -> int:
    """The fewest evaluations that Shapley values can be found with: every coalition, or the ends and two a player."""
    every: int = 2**players
    return min(every, _ENDS + 2 * players)


def choose_coalitions(players: int, samples: int, seed: int) -> Coalitions:
    """All coalitions where `samples` allows; otherwise the heaviest, and a sample of the others."""
    if players < 1:
        raise ExplanationError("row", "is empty: there is nothing to attribute a prediction to")
    if 2**players <= samples:
        return _all(players)
    least = least_samples(players)
    if samples < least:
        raise ExplanationError(
            "samples", f"{players} pieces need {least} evaluations or more, {samples} are allowed; or use occlusion"
        )
    return _heaviest_and_sampled(players, samples - _ENDS, np.random.default_rng(seed))


def solve(keep: Bools, weights: Floats, gains: Floats, total: float) -> Floats:
    """The shares that explain `gains` best, by weighted least squares, among those that add up to `total`.

    Starting from equal shares and adding only what adds up to nothing keeps the sum, and favours no player.
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
    """Every coalition but the ends."""
    numbers = np.arange(1, 2**players - 1)
    keep = (numbers[:, None] >> np.arange(players)) % 2 == 1
    weights = np.array([_weight_of_size(players, size) / comb(players, size) for size in range(1, players)])
    return Coalitions(keep, weights[keep.sum(axis=1) - 1], drawn=np.empty(0))


def _heaviest_and_sampled(players: int, budget: int, random: np.random.Generator) -> Coalitions:
    """Pairs of sizes from the ends inwards as long as the budget's fair part covers them; then the sample."""
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
    """Draw by the sizes' weights; of a coalition and its complement stands the one without the first player."""
    odds = np.array([_pair_weight(players, size) for size in sizes])
    drawn = random.choice(sizes, size=max(1, draws), p=odds / odds.sum())
    ranks = random.random((len(drawn), players)).argsort(axis=1).argsort(axis=1)
    chosen = ranks < drawn[:, None]
    found, counts = np.unique(chosen ^ chosen[:, :1], axis=0, return_counts=True)
    return found, counts.astype(np.float64)


def _standard_error(asked: Coalitions, gains: Floats, total: float, seed: int) -> float:
    """Over all players, by the bootstrap: how far results lie apart whose samples are drawn from the sample.

    A complement weighs as much as its coalition, and its centred row is the opposite, so each pair is one row here.
    """
    pairs = len(asked.drawn)
    if not pairs:
        return 0.0
    member = asked.keep.astype(np.float64)
    centred = member - member.mean(axis=1, keepdims=True)
    left = gains - member @ np.full(member.shape[1], total / member.shape[1])
    whole, half = slice(0, len(member) - 2 * pairs), slice(len(member) - 2 * pairs, len(member) - pairs)
    matrix = (centred[whole].T * asked.weights[whole]) @ centred[whole]
    vector = (centred[whole].T * asked.weights[whole]) @ left[whole]
    random, draws = np.random.default_rng(seed + 1), int(asked.drawn.sum())
    results = []
    for _ in range(min(_REDRAWN, max(_LEAST_REDRAWN, _REDRAWN_PLAYERS // member.shape[1]))):
        weights = asked.weights[half] * random.multinomial(draws, asked.drawn / draws) / asked.drawn
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
    """The kernel's weight of all coalitions of a size together."""
    return (players - 1) / (size * (players - size))


def _pair_weight(players: int, size: int) -> float:
    """Of a size and of the size of the complements, which may be the same one."""
    return sum(_weight_of_size(players, each) for each in {size, players - size})
