"""First process of the CPU Triton: runs the server and ends it when a model's process dies.

    entrypoint.py tritonserver --model-repository=/models ...

Each model instance has a process of its own, `triton_python_backend_stub`. When one dies, Triton 2.51 stays "ready" and
answers its requests with errors forever, and it is no better when the kernel kills only that process for memory. So
this program watches them: a death that is not part of a shutdown is said on standard error, where the kubelet picks up
the last lines as the reason, and ends the container with a code that is not 0.

It also forwards SIGTERM and SIGINT, and reaps orphans, as the first process of a container must. Outside of one,
whoever starts it may hold the other end of a pipe, LEASH_DESCRIPTOR: when that is gone, the server is ended.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STUB = "triton_python_backend_stub"
LEASH = "LEASH_DESCRIPTOR"
SCAN_SECONDS = 1.0
COLLECT_SECONDS = 0.5
# After an exit without a signal, as after a model that could not be loaded, Triton logs more and exits.
OWN_END_SECONDS = 30.0
STOP_SECONDS = 5.0
UNEXPECTED_END = 1  # the container's exit code when a model process ended with 0 and nobody asked it to
_PARENT, _EXIT_STATUS = 1, -1  # places in /proc/PID/stat after the name, proc(5)
_MODEL_FILE = re.compile(r".*/([^/]+)/\d+/[^/]+")  # the stub's first argument, as /models/digits/1/model.pt


class Watch:
    """The server and the model processes seen so far, each with a descriptor that tells its end."""

    def __init__(self, command: list[str], proc: Path = Path("/proc"), leash: int = -1) -> None:
        self._proc = proc
        self._leash = leash
        self._models: dict[int, tuple[int, str]] = {}
        self._ended: dict[int, float] = {}
        self._wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.stopping = False
        self.deadline: float | None = None
        self.failure = 0
        stops = (signal.SIGTERM, signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # one that comes now waits until it can be forwarded
        self.server = os.posix_spawnp(command[0], command, os.environ, setsigmask=())
        for number in stops:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    def run(self) -> int:
        """Wait for the server's end; the container's exit code."""
        poller = select.poll()
        poller.register(self._wakeup_read, select.POLLIN)
        if self._leash >= 0:
            poller.register(self._leash, select.POLLHUP)
        while True:
            self._look_for_models(poller)
            for descriptor, _ in poller.poll((COLLECT_SECONDS if self._ended else SCAN_SECONDS) * 1000):
                if descriptor == self._wakeup_read:
                    os.read(self._wakeup_read, 4096)
                elif descriptor == self._leash:
                    poller.unregister(descriptor)
                    self._end_server()
                else:
                    poller.unregister(descriptor)
                    self._take_death(descriptor)
            self._judge_deaths()
            status = self._reap()
            if status is not None:
                self._end_models()
                return self.failure or exit_code(status)
            if self.deadline and time.monotonic() > self.deadline:
                self._end_server()

    def _forward(self, number: int, _frame: object) -> None:
        self.stopping = True
        os.kill(self.server, number)

    def _look_for_models(self, poller: select.poll) -> None:
        for pid, words in model_processes(self._proc, self.server):
            if pid not in self._models:
                try:
                    descriptor = os.pidfd_open(pid)
                except OSError:  # gone between the two looks
                    continue
                self._models[pid] = (descriptor, model_name(words))
                poller.register(descriptor, select.POLLIN)

    def _take_death(self, descriptor: int) -> None:
        """Note a model process that ended; whether it should have is seen when the server had time to collect it."""
        pid, name = next((pid, name) for pid, (fd, name) in self._models.items() if fd == descriptor)
        os.close(descriptor)
        self._models[pid] = (-1, name)  # stays known while its zombie does, so that it is not found again
        self._ended[pid] = time.monotonic() + COLLECT_SECONDS

    def _judge_deaths(self) -> None:
        for pid in [pid for pid, judged_at in self._ended.items() if time.monotonic() >= judged_at]:
            del self._ended[pid]
            status = exit_status(self._proc, pid)
            if status is None:
                self._models.pop(pid, None)  # the number may come back with another process
                continue
            if self.stopping or self.failure:
                continue
            self.failure = exit_code(status) or UNEXPECTED_END
            print(f"model process of '{self._models[pid][1]}' died: {describe(status)}", file=sys.stderr, flush=True)
            self.deadline = time.monotonic() + (0 if os.WIFSIGNALED(status) else OWN_END_SECONDS)

    def _end_server(self) -> None:
        """Ask once, then kill: requests in flight for other models get a moment."""
        os.kill(self.server, signal.SIGKILL if self.stopping else signal.SIGTERM)
        self.stopping = True
        self.deadline = time.monotonic() + STOP_SECONDS

    def _end_models(self) -> None:
        """Leave no model process behind: one that was loading outlives the server (seen for 17 minutes)."""
        for descriptor, _ in self._models.values():
            if descriptor >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _reap(self) -> int | None:
        """Collect ended children; the server's status when it was among them."""
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
    """Ids and command lines of the model processes that `server` started and that run now."""
    found = []
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0].rpartition("/")[2] == STUB and _status_fields(folder)[_PARENT] == str(server):
                    found.append((int(folder.name), words))
            except OSError:  # gone meanwhile
                continue
    return found


def model_name(words: list[str]) -> str:
    """Read the model's name out of a model process's command line; the whole first argument if it is no such path."""
    path = words[1] if len(words) > 1 else "?"
    match = _MODEL_FILE.fullmatch(path)
    return match[1] if match else path


def exit_status(proc: Path, pid: int) -> int | None:
    """Read how a process that is no child of ours ended, which its zombie tells.

    None when there is no zombie: then Triton has collected it, as it does with a process that it ended itself, after a
    model that could not be loaded for one. It does not collect one that died under it (seen on 2.51).
    """
    try:
        return int(_status_fields(proc / str(pid))[_EXIT_STATUS])
    except OSError:
        return None


def _status_fields(folder: Path) -> list[str]:
    """Fields of /proc/PID/stat after the program's name, which may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def exit_code(status: int) -> int:
    """Turn a wait status into an exit code as shells do: 128 + signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def describe(status: int) -> str:
    """Say how a process ended."""
    if not os.WIFSIGNALED(status):
        return f"exit code {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    return f"signal {number}" + (" (killed, perhaps for lack of memory)" if number == signal.SIGKILL else "")


def main(command: list[str]) -> int:
    """Run the command; without one, say how."""
    if not command:
        print("usage: entrypoint.py PROGRAM [ARGUMENT...]", file=sys.stderr)
        return 2
    try:
        leash = int(os.environ.pop(LEASH, "-1"))
        if leash >= 0:
            os.set_inheritable(leash, False)
        return Watch(command, leash=leash).run()
    except FileNotFoundError:
        print(f"there is no program {command[0]!r} in this image", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
