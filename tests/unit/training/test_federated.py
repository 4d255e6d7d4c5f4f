"""Federated training without processes: the computations of one party."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.common import Scalar
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training import breast_cancer_federated
from training.dataset import Part
from training.federated import division, learning, settings
from training.federated.__main__ import main
from training.federated.masked import MOST_ROWS, MaskedParty
from training.federated.party import Party
from training.federated.settings import ROUND, STATISTICS, TASK, TRAIN, Privacy, Settings, averaged, with_privacy

pytestmark = pytest.mark.training

_RECIPE = breast_cancer_federated.RECIPE
_SETTINGS = averaged(_RECIPE.plan, "breast_cancer_federated", division.PARTIES, masked=False)
_BOUNDS = np.array(breast_cancer_federated.RANGES)[:, 1]
_CALL: dict[str, Scalar] = {TASK: TRAIN, ROUND: 2}


def _part(rows: int = 20) -> Part:
    generator = np.random.default_rng(1)
    inputs = generator.uniform(0, _BOUNDS, (rows, len(_BOUNDS))).astype(np.float32)
    return Part(inputs, (inputs[:, 0] > _BOUNDS[0] / 2).astype(np.int64))


def _weights() -> list[np.ndarray]:
    return [np.zeros((1, 10)), np.zeros(1), _BOUNDS / 2, _BOUNDS / 4]


def test_each_row_belongs_to_one_party() -> None:
    """The assignment is the same in every run."""
    part = Part(np.arange(600, dtype=np.float32)[:, None], np.zeros(600, dtype=np.int64))
    parties = division.divide(part)
    assert sorted(float(row[0]) for each in parties.values() for row in each.inputs) == list(range(600))
    again = division.divide(part)
    assert all(np.array_equal(parties[name].inputs, again[name].inputs) for name in division.PARTIES)


def test_a_partys_folder_is_closed_to_others(tmp_path: Path) -> None:
    """The party itself reads the rows unchanged."""
    division.write(_part(), tmp_path / "clinic")
    assert (tmp_path / "clinic").stat().st_mode & 0o077 == 0
    assert np.array_equal(division.read(tmp_path / "clinic").inputs, _part().inputs)


@pytest.mark.parametrize(
    "each", [_SETTINGS, with_privacy(replace(_SETTINGS, masked=True), Privacy(noise_multiplier=2))]
)
def test_every_process_reads_the_same_settings(each: Settings, tmp_path: Path) -> None:
    """With and without differential privacy."""
    each.write(tmp_path)
    assert settings.read(tmp_path) == each


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4).flatmap(
        lambda sizes: st.tuples(
            *(arrays(np.float32, (size, 2), elements=st.floats(0, 100, width=32)) for size in sizes)
        )
    )
)
def test_averaged_statistics_equal_those_of_all_rows(parts: tuple[np.ndarray, ...]) -> None:
    """For any division of the rows."""
    bounds = np.array([100.0, 100.0])
    rows = np.concatenate(parts).astype(np.float64)
    sent = [learning.statistics(part, bounds) for part in parts]
    means = [np.average([each[i] for each in sent], axis=0, weights=[len(part) for part in parts]) for i in range(2)]
    scaling = learning.scaling(means, bounds)
    assert np.allclose(scaling.mean, rows.mean(axis=0), atol=1e-3)
    assert np.allclose(np.square(scaling.spread), np.square(rows.std(axis=0)), atol=0.1)


def test_a_party_returns_its_own_weights() -> None:
    """They are the same for the same call, and differ in another round, which shuffles the rows differently."""
    party = Party("clinic", _RECIPE, _part(64), _SETTINGS)
    weights, rows, metrics = party.fit(_weights(), _CALL)
    again, _, _ = party.fit(_weights(), _CALL)
    later, _, _ = party.fit(_weights(), {**_CALL, ROUND: 3})
    assert [each.shape for each in weights] == [(1, 10), (1,)]
    assert (rows, metrics) == (64, {"party": "clinic"})
    assert np.array_equal(weights[0], again[0])
    assert not np.array_equal(weights[0], later[0])


def test_a_party_with_differential_privacy_sends_no_statistics() -> None:
    """The epsilon that it reports does not cover them."""
    party = Party("clinic", _RECIPE, _part(), with_privacy(_SETTINGS, Privacy()))
    with pytest.raises(ValueError, match="no statistics are sent"):
        party.fit([_BOUNDS], {TASK: STATISTICS, ROUND: 1})


def test_noise_differs_between_calls_and_the_privacy_spent_accumulates() -> None:
    """The same call twice gives different weights, and spends more."""
    party = Party("clinic", _RECIPE, _part(), with_privacy(_SETTINGS, Privacy(noise_multiplier=2)))
    first, _, metrics = party.fit(_weights(), _CALL)
    second, _, then = party.fit(_weights(), _CALL)
    assert not np.array_equal(first[0], second[0])
    assert 0 < metrics["epsilon"] < then["epsilon"]


def test_more_noise_spends_less_privacy() -> None:
    """For the same number of steps."""
    spent = []
    for noise in (1.0, 4.0):
        party = Party("clinic", _RECIPE, _part(), with_privacy(_SETTINGS, Privacy(noise_multiplier=noise)))
        spent.append(party.fit(_weights(), _CALL)[2]["epsilon"])
    assert spent[1] < spent[0] / 3


def test_a_party_with_masking_rejects_plain_calls() -> None:
    """A coordinator cannot request the unmasked update."""
    party = MaskedParty(Party("clinic", _RECIPE, _part(), replace(_SETTINGS, masked=True)))
    with pytest.raises(KeyError, match="records"):
        party.fit(_weights(), _CALL)


def test_more_rows_than_secure_aggregation_supports_are_rejected() -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match=f"clinic has {MOST_ROWS + 1} rows"):
        Party("clinic", _RECIPE, _part(MOST_ROWS + 1), replace(_SETTINGS, masked=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsilon", "-1"], "-1 is not a number above 0"),
        (["--epsilon", "much"], "much is not a number above 0"),
        (["--delta", "2"], "2 is not between 0 and 1"),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
