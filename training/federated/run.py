"""Run federated training on this machine: start the coordinator and the parties, and return the final weights.

Called by the recipe `breast_cancer_federated` and by `python -m training.federated`. Each process has a folder in a
temporary folder. On success and on failure, all processes are ended and the folder is removed. The processes
communicate over gRPC on loopback without TLS. Flower's telemetry is disabled.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from training.dataset import Part
from training.federated import division
from training.federated.learning import Arrays, Scaling
from training.federated.settings import REPORT, RESULT, Settings
from training.fit import Log

_ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_LIMIT_SECONDS = 600.0


class FederationError(RuntimeError):
    """A process of the run failed; the message has the last line of its log."""


@dataclass(frozen=True)
class Agreed:
    """The weights and scaling of the last round, with a report.

    `losses` is the validation loss of each round; `rows` and `epsilon` are the rows and privacy spent of each party.
    """

    arrays: Arrays
    scaling: Scaling
    losses: list[float]
    rows: Mapping[str, int]
    epsilon: Mapping[str, float]


def train(settings: Settings, validation: Part, parties: Mapping[str, Part], log: Log) -> Agreed:
    """Train with one process per party and one coordinator. Raises FederationError if one of them fails."""
    with tempfile.TemporaryDirectory(prefix="triton-operator-federated-") as folder:
        places = prepare(Path(folder), settings, validation, parties)
        address = free_address()
        with processes(places, dict.fromkeys(parties, address), address) as running:
            follow(running, log)
        return read_result(places["coordinator"])


def prepare(folder: Path, settings: Settings, validation: Part, parties: Mapping[str, Part]) -> dict[str, Path]:
    """Create a folder for each process, with the settings and its rows; the coordinator gets only validation rows."""
    places = {}
    for name, part in {"coordinator": validation, **parties}.items():
        places[name] = folder / name
        division.write(part, places[name])
        settings.write(places[name])
    return places


@contextmanager
def processes(
    places: Mapping[str, Path], addresses: Mapping[str, str], listen: str
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Run the coordinator at `listen` and each party against its address; end all processes on exit."""
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        running["coordinator"] = _start("coordinator", places["coordinator"], listen)
        for name, address in addresses.items():
            running[name] = _start("party", places[name], name, address)
        yield running
    finally:
        for process in running.values():
            _end(process)


def follow(running: Mapping[str, subprocess.Popen[str]], log: Log) -> None:
    """Forward the coordinator's output until it exits. Raises FederationError if a process fails."""
    coordinator = running["coordinator"]
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(_output(coordinator), lines), daemon=True)
    reader.start()
    deadline = time.monotonic() + _LIMIT_SECONDS
    while reader.is_alive() or not lines.empty():
        with suppress(queue.Empty):
            log(lines.get(timeout=_LOOK_SECONDS).rstrip())
        for name, process in running.items():
            if process.poll():
                raise FederationError(f"{name} ended with exit status {process.returncode}: {_last_words(process)}")
        if time.monotonic() > deadline:
            raise FederationError(f"not done after {_LIMIT_SECONDS:.0f} s")
    if coordinator.wait():
        raise FederationError(f"coordinator ended with {coordinator.returncode}: {_last_words(coordinator)}")


def read_result(folder: Path) -> Agreed:
    """Read the result that the coordinator wrote."""
    with np.load(folder / RESULT) as file:
        mean, scale, *arrays = (file[name] for name in file.files)
    report = msgspec.json.decode((folder / REPORT).read_bytes())
    return Agreed(arrays, Scaling(mean, scale), report["losses"], report["rows"], report["epsilon"])


def facts(settings: Settings, agreed: Agreed) -> dict[str, object]:
    """Return the facts of a federated model for its card."""
    privacy = settings.privacy
    return {
        "parties": dict(agreed.rows),
        "local_epochs": settings.local_epochs,
        "secure_aggregation": "SecAgg+" if settings.masked else "none",
        "differential_privacy": {"epsilon": max(agreed.epsilon.values()), "delta": privacy.delta, "clip": privacy.clip}
        if privacy
        else "none",
    }


def free_address() -> str:
    """Return a free loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _start(program: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": str(folder / "flwr"),
        "GRPC_VERBOSITY": "ERROR",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"training.federated.{program}", str(folder), *arguments],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,  # Never written to; closing it ends the process.
            stdout=subprocess.PIPE if program == "coordinator" else log,
            stderr=log,
            text=True,
        )


def _end(process: subprocess.Popen[str]) -> None:
    """End a process by closing its standard input."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _pass_on(output: IO[str], lines: queue.Queue[str]) -> None:
    for line in output:
        lines.put(line)


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe.
    return process.stdout


def _last_words(process: subprocess.Popen[str]) -> str:
    """Return the last line of a process's log."""
    folder = Path(str(process.args[3])) if isinstance(process.args, list) else Path()
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
