"""Entrypoint of the CPU Triton: runs the server, and stops it if a model's process exits.

    entrypoint.py tritonserver --model-repository=/models ...

Each model instance has its own process, `triton_python_backend_stub`. If one exits, for example because the kernel
kills it for lack of memory, Triton 2.51 stays "ready" and answers the model's requests with errors indefinitely.
This program therefore watches the processes. An exit that is not part of a shutdown is reported on standard error,
where the kubelet reads the last lines as the reason, and ends the container with a nonzero exit code.

It also forwards SIGTERM and SIGINT and reaps orphans, as the first process of a container must. Outside a container,
the parent process may keep one end of a pipe open and pass the other end as PARENT_PIPE_DESCRIPTOR: when the parent's
end is closed, the server is stopped.

The server and its models write no core dumps.
"""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STUB = "triton_python_backend_stub"
PARENT_PIPE = "PARENT_PIPE_DESCRIPTOR"
SCAN_SECONDS = 1.0
COLLECT_SECONDS = 0.5
# After an exit without a signal, for example of a model that failed to load, Triton logs the reason and exits itself.
SERVER_EXIT_SECONDS = 30.0
STOP_SECONDS = 5.0
# At this limit, Linux writes a core dump neither to a file nor to a program (fs/coredump.c); 0 allows a program.
NO_CORE_DUMPS = 1
UNEXPECTED_EXIT = 1  # The container's exit code if a model process exited unexpectedly with code 0.
_PARENT, _EXIT_STATUS = 1, -1  # Indexes of fields in /proc/PID/stat after the name, proc(5).
_MODEL_FILE = re.compile(r".*/([^/]+)/\d+/[^/]+")  # The stub's first argument, for example /models/digits/1/model.pt.


class ServerSupervisor:
    """Runs the server and watches its model processes, each through a pidfd."""

    def __init__(self, command: list[str], proc: Path = Path("/proc"), parent_pipe: int = -1) -> None:
        self._proc = proc
        self._parent_pipe = parent_pipe
        self._models: dict[int, tuple[int, str]] = {}
        self._exited: dict[int, float] = {}
        self._wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.stopping = False
        self.deadline: float | None = None
        self.failure = 0
        stops = (signal.SIGTERM, signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # A signal stays pending until it can be forwarded.
        self.server = os.posix_spawnp(command[0], command, os.environ, setsigmask=())
        for number in stops:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    def run(self) -> int:
        """Wait until the server exits; returns the container's exit code."""
        poller = select.poll()
        poller.register(self._wakeup_read, select.POLLIN)
        if self._parent_pipe >= 0:
            poller.register(self._parent_pipe, select.POLLHUP)
        while True:
            self._find_models(poller)
            for descriptor, _ in poller.poll((COLLECT_SECONDS if self._exited else SCAN_SECONDS) * 1000):
                if descriptor == self._wakeup_read:
                    os.read(self._wakeup_read, 4096)
                elif descriptor == self._parent_pipe:
                    poller.unregister(descriptor)
                    self._stop_server()
                else:
                    poller.unregister(descriptor)
                    self._record_exit(descriptor)
            self._check_exits()
            status = self._reap()
            if status is not None:
                self._kill_models()
                return self.failure or exit_code(status)
            if self.deadline and time.monotonic() > self.deadline:
                self._stop_server()

    def _forward(self, number: int, _frame: object) -> None:
        self.stopping = True
        os.kill(self.server, number)

    def _find_models(self, poller: select.poll) -> None:
        for pid, words in model_processes(self._proc, self.server):
            if pid not in self._models:
                try:
                    descriptor = os.pidfd_open(pid)
                except OSError:  # The process exited after it was listed.
                    continue
                self._models[pid] = (descriptor, model_name(words))
                poller.register(descriptor, select.POLLIN)

    def _record_exit(self, descriptor: int) -> None:
        """Record that a model process exited; it is checked after the server has had time to collect it."""
        pid, name = next((pid, name) for pid, (fd, name) in self._models.items() if fd == descriptor)
        os.close(descriptor)
        self._models[pid] = (-1, name)  # The entry stays while the zombie exists, so that it is not added again.
        self._exited[pid] = time.monotonic() + COLLECT_SECONDS

    def _check_exits(self) -> None:
        """Report the first model process that exited and was not collected by the server, and set the deadline."""
        for pid in [pid for pid, check_at in self._exited.items() if time.monotonic() >= check_at]:
            del self._exited[pid]
            status = exit_status(self._proc, pid)
            if status is None:
                self._models.pop(pid, None)  # The kernel may reuse the process ID.
                continue
            if self.stopping or self.failure:
                continue
            self.failure = exit_code(status) or UNEXPECTED_EXIT
            print(f"model process of '{self._models[pid][1]}' died: {describe(status)}", file=sys.stderr, flush=True)
            self.deadline = time.monotonic() + (0 if os.WIFSIGNALED(status) else SERVER_EXIT_SECONDS)

    def _stop_server(self) -> None:
        """Terminate the server, and kill it the second time: other models' requests in flight can finish."""
        os.kill(self.server, signal.SIGKILL if self.stopping else signal.SIGTERM)
        self.stopping = True
        self.deadline = time.monotonic() + STOP_SECONDS

    def _kill_models(self) -> None:
        """Kill all model processes: one that is loading outlives the server (observed: 17 minutes)."""
        for descriptor, _ in self._models.values():
            if descriptor >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _reap(self) -> int | None:
        """Reap exited children; returns the server's wait status if it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            self._models.pop(pid, None)
            if pid == self.server:
                found = status


def model_processes(proc: Path, server: int) -> list[tuple[int, list[str]]]:
    """IDs and command lines of the running model processes that `server` started."""
    found = []
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0].rpartition("/")[2] == STUB and _status_fields(folder)[_PARENT] == str(server):
                    found.append((int(folder.name), words))
            except OSError:  # The process has exited.
                continue
    return found


def model_name(words: list[str]) -> str:
    """The model's name from a model process's command line; the first argument if it is not a model path."""
    path = words[1] if len(words) > 1 else "?"
    match = _MODEL_FILE.fullmatch(path)
    return match[1] if match else path


def exit_status(proc: Path, pid: int) -> int | None:
    """Read the wait status of a process that is not a child of this one from its zombie.

    None if there is no zombie: Triton collects a process that it stopped itself, for example after a model failed to
    load. It does not collect a process that exited unexpectedly (observed with 2.51).
    """
    try:
        return int(_status_fields(proc / str(pid))[_EXIT_STATUS])
    except OSError:
        return None


def _status_fields(folder: Path) -> list[str]:
    """Fields of /proc/PID/stat after the program's name, which may contain any character."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def exit_code(status: int) -> int:
    """Convert a wait status to an exit code as shells do: 128 + signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def describe(status: int) -> str:
    """Describe a wait status."""
    if not os.WIFSIGNALED(status):
        return f"exit code {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    return f"signal {number}" + (" (killed, possibly out of memory)" if number == signal.SIGKILL else "")


def forbid_core_dumps() -> None:
    """Prevent core dumps of this process and its children, which would put models and requests on a disk."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most == resource.RLIM_INFINITY or most >= NO_CORE_DUMPS:
        resource.setrlimit(resource.RLIMIT_CORE, (NO_CORE_DUMPS, most))


def main(command: list[str]) -> int:
    """Run the command; print the usage if it is missing."""
    if not command:
        print("usage: entrypoint.py PROGRAM [ARGUMENT...]", file=sys.stderr)
        return 2
    forbid_core_dumps()
    try:
        parent_pipe = int(os.environ.pop(PARENT_PIPE, "-1"))
        if parent_pipe >= 0:
            os.set_inheritable(parent_pipe, False)
        return ServerSupervisor(command, parent_pipe=parent_pipe).run()
    except FileNotFoundError:
        print(f"program {command[0]!r} not found", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
