"""The node's first process: start the components, restart those that exit, and stop all of them at the end.

Input: the node's folder, the folder of programs and an inherited socket. Output: `status.json` and one log per
component. `start` starts it in new namespaces as process 1, so it also reaps the orphaned processes of containers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.native.components import Component, node_components
from hack.cluster.native.isolation import isolate
from hack.cluster.native.layout import Layout
from hack.cluster.readiness import api_answers

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK_SECONDS, _CALM_TICK_SECONDS = 0.1, 2.0
_STOP_SECONDS = 4.0
_ANSWER_SECONDS = 1.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0
_STEADY_SECONDS = 60.0
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


@dataclass
class ComponentState:
    """The supervisor's state of one component."""

    component: Component
    pid: int | None = None
    started: float = 0.0
    restarts: int = 0
    failures: int = 0
    start_after: float = 0.0
    last_exit: str | None = None
    open: bool = False

    def as_status(self) -> dict[str, object]:
        """Return the component's entry in `status.json`."""
        return {
            "running": self.pid is not None,
            "ready": self.open,
            "restarts": self.restarts,
            "lastExit": self.last_exit,
        }


def pause_before_restart(failures: int) -> float:
    """Return the seconds to wait before a component that failed `failures` times in succession is restarted."""
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1), _LONGEST_PAUSE_SECONDS)


class NodeSupervisor:
    """Keeps a set of components running until it is stopped."""

    def __init__(self, layout: Layout, programs: Path, components: Iterable[Component]) -> None:
        """Prepare to run `components`, whose programs are in `programs`."""
        self._layout = layout
        self._programs = programs
        self._states = {component.name: ComponentState(component) for component in components}
        self._written = ""

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then stop all components."""
        while True:
            self._start_what_may_start()
            self._look_at_gates()
            self._write_status()
            calm = all(state.open for state in self._states.values())
            received = signal.sigtimedwait(_SIGNALS, _CALM_TICK_SECONDS if calm else _TICK_SECONDS)
            if received is not None and received.si_signo != signal.SIGCHLD:
                break
            self._collect_ended()
        self._end_all()

    def _start_what_may_start(self) -> None:
        now = time.monotonic()
        for state in self._states.values():
            waits = any(not self._states[name].open for name in state.component.after)
            if state.pid is None and not waits and now >= state.start_after:
                self._start(state)

    def _start(self, state: ComponentState) -> None:
        component = state.component
        with (self._layout.logs / f"{component.name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._located(component.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"},
                pass_fds=() if component.keeps is None else (component.keeps,),
                preexec_fn=_unblock_signals,  # noqa: PLW1509  (this process has one thread)
            )
        # The supervisor waits for the process together with the orphans, not through this object.
        process.returncode = 0
        state.pid, state.started = process.pid, time.monotonic()

    def _located(self, command: tuple[str, ...]) -> list[str]:
        return [command[0] if "/" in command[0] else str(self._programs / command[0]), *command[1:]]

    def _look_at_gates(self) -> None:
        for state in self._states.values():
            if state.pid is None:
                state.open = False
            elif not state.open:
                state.open = self._is_open(state.component.gate)

    def _is_open(self, gate: str | None) -> bool:
        if gate is None:
            return True
        if gate.startswith("https:"):
            return api_answers(gate, self._layout.endpoints.pki, seconds=_ANSWER_SECONDS)
        return _accepts(gate)

    def _collect_ended(self) -> None:
        by_pid = {state.pid: state for state in self._states.values()}
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in by_pid:
                    _note_end(by_pid[pid], status)

    def _write_status(self) -> None:
        text = json.dumps({name: state.as_status() for name, state in self._states.items()}, indent=2)
        if text != self._written:
            draft = self._layout.status_record.with_suffix(".draft")
            draft.write_text(text)
            draft.replace(self._layout.status_record)
            self._written = text

    def _end_all(self) -> None:
        """Terminate all components, so that containerd closes its database; the kernel kills the rest at exit."""
        for state in self._states.values():
            if state.pid is not None:
                os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._states["containerd"].pid is not None and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, _TICK_SECONDS)
            self._collect_ended()


def _note_end(state: ComponentState, status: int) -> None:
    now = time.monotonic()
    state.failures = 1 if now - state.started > _STEADY_SECONDS else state.failures + 1
    state.pid, state.open = None, False
    state.restarts += 1
    state.start_after = now + pause_before_restart(state.failures)
    code = os.waitstatus_to_exitcode(status)
    state.last_exit = f"code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _accepts(gate: str) -> bool:
    family, address = _socket_address(gate)
    with socket.socket(family) as client:
        client.settimeout(0.2)
        try:
            client.connect(address)
        except OSError:
            return False
        return True


def _socket_address(gate: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    if gate.startswith("/"):
        return socket.AF_UNIX, gate
    host, _, port = gate.rpartition(":")
    return socket.AF_INET, (host, int(port))


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def main() -> None:
    """Set up the isolation, then supervise; arguments: the node's folder, the programs' folder, the socket's number."""
    root, programs, listener = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    layout = Layout(root)
    isolate(layout, programs / "ip")
    NodeSupervisor(layout, programs, node_components(layout, programs, listener)).run()


if __name__ == "__main__":
    main()
