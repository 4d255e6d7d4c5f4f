"""The first process of the CPU Triton image: it ends the container if a model process dies, and only then."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.core_dumps import core_dumps_allowed
from tests.paths import ROOT

ENTRYPOINT = ROOT / "operator" / "triton_operator" / "cpu_server" / "entrypoint.py"
FAST = "SCAN_SECONDS = 0.05; COLLECT_SECONDS = 0.3; STOP_SECONDS = 0.2; OWN_END_SECONDS = 0.2"

# A server that starts one model process, tells its id, and handles its end as requested.
SERVER = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: (model.kill(), sys.exit(0)))
model = subprocess.Popen([{stub!r}, {model!r}])
print(model.pid, flush=True)
{behaviour}
"""
BLOCK = "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])"
SERVES_ON = "signal.pause()"
COLLECTS = "model.wait(); sys.exit(3)"


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    """Load the program as a module."""
    spec = importlib.util.spec_from_file_location("triton_cpu_entrypoint", ENTRYPOINT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_server_and_its_models_write_no_core_dumps() -> None:
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    command = [sys.executable, str(ENTRYPOINT), sys.executable, "-c", limit]
    with core_dumps_allowed() as forbidden:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) == forbidden


class Container:
    """The entrypoint with a simulated server and its model process."""

    def __init__(self, folder: Path, behaviour: str, model_program: str) -> None:
        stub = folder / "triton_python_backend_stub"
        stub.symlink_to(sys.executable)
        model = folder / "models" / "digits_2" / "1" / "model.pt"
        model.parent.mkdir(parents=True)
        model.write_text(f"{BLOCK}; print('up', flush=True); {model_program}")
        server = SERVER.format(stub=str(stub), model=str(model), behaviour=behaviour)
        program = f"import sys; sys.path.insert(0, {str(ENTRYPOINT.parent)!r}); import entrypoint\n"
        program += f"exec({FAST!r}, vars(entrypoint)); sys.exit(entrypoint.main([sys.executable, '-c', {server!r}]))"
        read_end, self.parent_pipe = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PARENT_PIPE_DESCRIPTOR": str(read_end)},
            pass_fds=(read_end,),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        os.close(read_end)
        assert self.process.stdout
        output = {self.process.stdout.readline().strip() for _ in range(2)}
        assert "up" in output, output
        self.model = int((output - {"up"}).pop())

    @property
    def server(self) -> int:
        """Process ID of the simulated server."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

    def end(self) -> tuple[int, str]:
        """Exit code and standard error."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def wait_until_watched(self) -> None:
        """Wait until the entrypoint has an open descriptor of the model process."""
        descriptors = Path(f"/proc/{self.process.pid}/fdinfo")
        watched = False
        while not watched:
            for entry in descriptors.iterdir():
                with contextlib.suppress(FileNotFoundError):  # One of /proc's files, closed between the two looks.
                    watched |= f"Pid:\t{self.model}\n" in entry.read_text()


Start = Callable[[str, str], Container]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Start]:
    """Start a container; processes that a failing test leaves are killed."""
    started: list[Container] = []

    def start(behaviour: str, model_program: str) -> Container:
        started.append(Container(tmp_path, behaviour, model_program))
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate(timeout=60)
        if each.parent_pipe >= 0:
            os.close(each.parent_pipe)


def test_a_killed_model_process_ends_the_container_and_is_named(container: Start) -> None:
    """The server would stay ready with a dead model; 137 is 128 + SIGKILL, as for a killed container."""
    running = container(SERVES_ON, "signal.pause()")
    running.wait_until_watched()
    os.kill(running.model, signal.SIGKILL)
    code, errors = running.end()
    assert code == 137
    assert errors == "model process of 'digits_2' died: signal 9 (killed, possibly out of memory)\n"


@pytest.mark.parametrize(("status", "code"), [(7, 7), (0, 1)])
def test_a_model_process_that_exits_ends_the_container_too(container: Start, status: int, code: int) -> None:
    """Also with exit code 0, because the model is not served then. The server may first report a better reason."""
    running = container(SERVES_ON, f"signal.sigwait([signal.SIGUSR1]); os._exit({status})")
    running.wait_until_watched()
    os.kill(running.model, signal.SIGUSR1)
    assert running.end() == (code, f"model process of 'digits_2' died: exit code {status}\n")


def test_a_model_process_that_the_server_collected_is_ignored(container: Start) -> None:
    """Triton reports itself why a model cannot be loaded."""
    running = container(COLLECTS, "signal.pause()")
    running.wait_until_watched()
    os.kill(running.model, signal.SIGKILL)
    assert running.end() == (3, "")


def test_a_stop_is_forwarded_and_deaths_during_it_are_no_failure(container: Start) -> None:
    """The kubelet's SIGTERM reaches the server, whose exit code is the container's."""
    running = container(SERVES_ON, "signal.pause()")
    running.wait_until_watched()
    running.process.terminate()
    assert running.end() == (0, "")


def test_a_killed_server_leaves_no_model_process_behind(container: Start) -> None:
    """Its exit code is the container's; a running model process would keep the pipe open."""
    running = container(SERVES_ON, "signal.pause()")
    running.wait_until_watched()
    os.kill(running.server, signal.SIGKILL)
    assert running.end() == (137, "")


def test_closing_the_parent_pipe_stops_the_server(container: Start) -> None:
    """Also if the parent was killed; the exit code is the server's."""
    running = container(SERVES_ON, "signal.pause()")
    running.wait_until_watched()
    os.close(running.parent_pipe)
    running.parent_pipe = -1
    assert running.end() == (0, "")


@pytest.mark.parametrize(
    ("command", "code", "words"), [([], 2, "usage:"), (["tritonsrever"], 127, "program 'tritonsrever' not found")]
)
def test_a_wrong_command_is_explained(command: list[str], code: int, words: str) -> None:
    """A typo in the pod's arguments must not look like a crash of Triton."""
    done = subprocess.run([sys.executable, ENTRYPOINT, *command], capture_output=True, text=True, check=False)
    assert (done.returncode, words in done.stderr) == (code, True)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["stub", "/models/digits/1/model.pt", "shm"], "digits"),
        (["stub", "/models/mnist_2/12/model.py"], "mnist_2"),
        (["stub", "elsewhere"], "elsewhere"),
        (["stub"], "?"),
    ],
)
def test_the_models_name_comes_from_its_path(entrypoint: ModuleType, words: list[str], name: str) -> None:
    """The instance's name ends in numbers, and so may a model's name."""
    assert entrypoint.model_name(words) == name
