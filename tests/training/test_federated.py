"""Federated training with three parties, as processes: accuracy of the result, and the data that each party sends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.wire_recorder import Recorder, recorded
from training import REPOSITORY, breast_cancer_federated, model_card, torchscript
from training.federated import division, learning, run
from training.federated.__main__ import main
from training.federated.settings import Settings, averaged
from training.workflow import model_file

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

_RECIPE = breast_cancer_federated.RECIPE
_PLAIN = averaged(_RECIPE.plan, "breast_cancer_federated", division.PARTIES, masked=False)
_MASKED = replace(_PLAIN, masked=True)

_WATCHER = """
import os, sys
_log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".npz", ".csv")):
        os.write(_log, f"open\\t{sys.argv}\\t{arguments[0]}\\n".encode())
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        os.write(_log, f"connect\\t{sys.argv}\\t{arguments[1][0]}\\n".encode())
sys.addaudithook(_watch)
"""
"""A `sitecustomize`, which Python imports at startup. It records the files and connections that each process opens."""


@dataclass(frozen=True)
class Run:
    """A run with all messages of its parties, and the files and connections that its processes opened."""

    agreed: run.Agreed
    sent: Mapping[str, Recorder]
    opened: list[tuple[str, str, str]]

    def answers(self, party: str) -> list[list[NDArray[np.float64]]]:
        """The arrays of each response, in the order of the rounds."""
        return [[np.load(BytesIO(each)) for each in fit.parameters.tensors] for fit in self.fits(party)]

    def fits(self, party: str) -> list[Any]:
        """The responses to calls, without the last message, which ends the session."""
        from flwr.proto.transport_pb2 import ClientMessage

        messages = [ClientMessage.FromString(each) for each in self.sent[party].messages()]
        assert {each.WhichOneof("msg") for each in messages} <= {"fit_res", "disconnect_res"}
        return [each.fit_res for each in messages if each.WhichOneof("msg") == "fit_res"]


def _run(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Like `run.train`, with a recorder between each party and the coordinator."""
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(_WATCHER)
    monkeypatch.setenv("PYTHONPATH", str(folder / "watch"))
    monkeypatch.setenv("OPENED", str(folder / "opened"))
    dataset = _RECIPE.preprocess()
    parties = division.divide(dataset.train)
    places = run.prepare(folder, settings, dataset.validation, parties)
    listen = run.free_address()
    with ExitStack() as stack:
        sent = {name: stack.enter_context(recorded(listen)) for name in parties}
        addresses = {name: recorder.address for name, recorder in sent.items()}
        running = stack.enter_context(run.processes(places, addresses, listen))
        run.follow(running, print)
    opened = [line.split("\t") for line in (folder / "opened").read_text().splitlines()]
    return Run(run.read_result(places["coordinator"]), sent, [(what, who, where) for what, who, where in opened])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return _run(_PLAIN, tmp_path_factory.mktemp("plain"), monkeypatch)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return _run(_MASKED, tmp_path_factory.mktemp("masked"), monkeypatch)


def test_federated_training_is_as_accurate_as_central_training(measured: Callable[[str], None]) -> None:
    """With the documented command and secure aggregation; no party alone is more accurate."""
    command = ["make", "federated", f"DEV={sys.executable} -m hack.environment dev"]
    done = subprocess.run(command, cwd=REPOSITORY.parent, capture_output=True, text=True, check=True)
    measured(done.stdout)
    accuracy = {
        way: float(score) for way, score in re.findall(r"^(\w[\w ]*?)  +\d+  +([\d.]+)", done.stdout, re.MULTILINE)
    }
    alone = {accuracy[f"{name} alone"] for name in division.PARTIES}
    assert accuracy["federated"] >= accuracy["central"] - 0.02
    assert max(alone) <= accuracy["federated"]
    assert "secure aggregation     SecAgg+" in done.stdout


def test_the_parties_are_unequal() -> None:
    """In size by a factor of more than four, in labels and in measurements."""
    parties = division.divide(_RECIPE.preprocess().train)
    facts = division.describe(parties)
    assert sum(len(part) for part in parties.values()) == len(_RECIPE.preprocess().train)
    assert facts["clinic"]["rows"] > 4 * facts["specialist"]["rows"]
    assert facts["screening"]["malignant"] < 0.2
    assert facts["specialist"]["malignant"] > 0.9
    assert facts["specialist"]["mean_radius"] > 1.5 * facts["screening"]["mean_radius"]


def test_each_process_opens_only_its_own_rows(plain: Run) -> None:
    """The coordinator opens no rows of a party, and no process opens the whole data set."""
    files: dict[str, set[str]] = {}
    for what, who, where in plain.opened:
        if what == "open":
            files.setdefault(next(name for name in ("coordinator", *division.PARTIES) if name in who), set()).add(where)
    assert {name: {Path(path).parent.name for path in paths} for name, paths in files.items()} == {
        name: {name} for name in ("coordinator", *division.PARTIES)
    }
    assert {Path(path).name for name in division.PARTIES for path in files[name]} == {division.ROWS}


def test_processes_connect_only_to_this_machine(plain: Run, masked: Run) -> None:
    """Flower sends no telemetry and does not check for updates; the recorders see the connections of gRPC itself."""
    called = {where for what, _, where in (*plain.opened, *masked.opened) if what == "connect"}
    assert called == {"127.0.0.1"}


def test_a_party_sends_only_arrays_of_the_models_size_its_name_and_a_count(plain: Run) -> None:
    """Two rows of statistics at first, then weights, and no other number."""
    for party, rows in plain.agreed.rows.items():
        shapes = [[each.shape for each in arrays] for arrays in plain.answers(party)]
        assert shapes == [[(10,), (10,)]] + [[(1, 10), (1,)]] * _PLAIN.rounds
        for fit in plain.fits(party):
            assert fit.num_examples == rows
            assert {key: value.string for key, value in fit.metrics.items()} == {"party": party}


def test_what_a_party_sends_does_not_grow_with_its_rows(plain: Run, masked: Run) -> None:
    """With five times as many rows, only the names differ in size; at most 1 kB per round, or 8 kB masked."""
    for each, most in ((plain, 1024), (masked, 8192)):
        sizes = {party: sum(map(len, recorder.messages())) for party, recorder in each.sent.items()}
        rounds = _PLAIN.rounds + 1
        assert max(sizes.values()) - min(sizes.values()) <= 32 * rounds
        assert max(sizes.values()) <= most * rounds


def test_no_row_is_among_the_bytes_that_a_party_sends(plain: Run) -> None:
    """Neither in the format of the file nor in that of the library. The same search finds the weights."""
    parties = division.divide(_RECIPE.preprocess().train)
    for name, part in parties.items():
        stream = bytes(plain.sent[name].sent)
        assert all(row.tobytes() not in stream for row in part.inputs)
        assert all(row.astype(np.float64).tobytes() not in stream for row in part.inputs)
        weight, _ = plain.answers(name)[-1]
        assert weight.tobytes() in stream


def test_the_coordinator_sees_masked_updates_and_the_right_sum(plain: Run, masked: Run) -> None:
    """The masked run never sends the updates of the plain run, but both runs end with the same weights."""
    from flwr.common.secure_aggregation.quantization import quantize

    for party in division.PARTIES:
        stream = bytes(masked.sent[party].sent)
        for arrays in plain.answers(party):
            assert all(each.tobytes() not in stream for each in arrays)
        assert all(not fit.parameters.tensors for fit in masked.fits(party))
        statistics = [each * plain.agreed.rows[party] / 1000 for each in plain.answers(party)[0]]
        expected = np.concatenate([each.ravel() for each in quantize(statistics, 8.0, 2**22)])
        seen = _masked_vector(masked, party)
        assert len(seen) == len(expected)
        assert np.count_nonzero(np.abs(seen - expected) < 2**10) == 0
        assert seen.max() > 2**28 > expected.max()
    for with_masks, without in zip(masked.agreed.arrays, plain.agreed.arrays, strict=True):
        assert np.allclose(with_masks, without, atol=5e-3)


def _masked_vector(each: Run, party: str) -> NDArray[np.int64]:
    """The masked vector that the coordinator received in the first round."""
    from flwr.common import bytes_to_ndarray
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict

    for fit in each.fits(party):
        records = recorddict_from_proto(RecordDict.FromString(fit.metrics["records"].bytes))
        for record in records.config_records.values():
            if "masked_params" in record:
                contents: Any = record["masked_params"]
                _, *arrays = [bytes_to_ndarray(each) for each in contents]
                return np.concatenate([array.ravel() for array in arrays])
    raise AssertionError(f"{party} sent no masked vector")


def test_the_committed_model_equals_the_result_of_this_run(masked: Run) -> None:
    """Every run gives the same weights, so `python -m training breast_cancer_federated` is reproducible."""
    assert _RECIPE.fit is breast_cancer_federated.fit
    committed = torchscript.load(model_file(REPOSITORY, _RECIPE.name)).state_dict()
    module = breast_cancer_federated.build()
    learning.load(module, masked.agreed.arrays, masked.agreed.scaling)
    for name, values in module.state_dict().items():
        assert np.allclose(values.numpy(), committed[name].numpy(), rtol=1e-5), name


def test_differential_privacy_costs_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: Callable[[str], None]
) -> None:
    """The card states the budget, which is not exceeded; the accuracy is lower, but far above chance."""
    assert main(["--differential-privacy", "--epsilon", "3", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    measured(out)
    (epsilon,) = re.findall(r"epsilon ([\d.]+) at delta 0.0001", out)
    (accuracy,) = re.findall(r"^federated +\d+ +([\d.]+)", out, re.MULTILINE)
    assert 2.5 < float(epsilon) <= 3.0
    assert float(accuracy) >= 0.85
    card = model_card.read(tmp_path / _RECIPE.name)
    assert card.training["differential_privacy"]["epsilon"] == pytest.approx(float(epsilon), abs=0.01)
    assert card.scores["test"]["accuracy"] == pytest.approx(float(accuracy), abs=1e-4)
    assert model_card.damaged_files(card, tmp_path / _RECIPE.name) == []


def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither processes nor folders."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "training.federated"]
    with subprocess.Popen(command, cwd=REPOSITORY.parent, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(_processes_with(tmp_path)) < len(division.PARTIES) + 1:
            time.sleep(0.1)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert _processes_with(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def _processes_with(folder: Path) -> list[str]:
    """The ids of all processes whose command line contains a folder."""
    results = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in each.read_bytes():
                results.append(each.parent.name)
    return results


def test_a_party_that_cannot_start_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    """All processes are ended."""
    dataset = _RECIPE.preprocess()
    places = run.prepare(tmp_path, _PLAIN, dataset.validation, division.divide(dataset.train))
    (places["specialist"] / division.ROWS).write_bytes(b"")
    listen = run.free_address()
    with (
        pytest.raises(run.FederationError, match="specialist ended with exit status 1: EOFError"),
        run.processes(places, dict.fromkeys(division.PARTIES, listen), listen) as running,
    ):
        run.follow(running, print)
    assert all(process.returncode is not None for process in running.values())
    assert not any(Path(f"/proc/{process.pid}").exists() for process in running.values())
