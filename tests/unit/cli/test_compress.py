"""`tritonctl compress`: an accurate result is exported; any other is rejected, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tritonctl import Outcome, tritonctl
from triton_operator.export.exporter import load
from triton_operator.triton.model_file.archive import read_signature

FILE = """
import torch

torch.manual_seed(0)
ROWS = torch.randn(200, 16)
LABELS = (ROWS[:, 0] > 0).long()
runs = 0

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(16, 64), torch.nn.Linear(64, 2)

    def forward(self, x):
        return self.out(self.hidden(x).relu())

def train(net):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(ROWS), LABELS).backward()
        optimizer.step()

def trained():
    net = Net()
    train(net)
    return net

def accuracy(net):
    return float((net(ROWS).argmax(1) == LABELS).float().mean())

def fails(net):
    raise ValueError("no data")
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A user's file with a module, its training and its evaluation."""
    path = tmp_path / "net.py"
    path.write_text(FILE)
    return path


def compress(capsys: pytest.CaptureFixture[str], net: Path, *options: object, module: str = "trained") -> Outcome:
    """Run the command, for the model `small`."""
    fixed = ("--input", "FP32:16", "--max-batch-size", 8, "--name", "small", "--to", net.parent / "to")
    return tritonctl(capsys, "compress", f"{net}:{module}", *fixed, "--evaluate", f"{net}:accuracy", *options)


@pytest.mark.parametrize("method", ["int8", "fp16", "prune", "prune-channels"])
def test_an_accurate_result_is_exported(net: Path, capsys: pytest.CaptureFixture[str], method: str) -> None:
    """With its signature and its card; both scores are printed."""
    outcome = compress(capsys, net, "--method", method, "--fine-tune" if "prune" in method else "--max-drop",
                       f"{net}:train" if "prune" in method else 0.02, "--sparsity", 0.5)  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].startswith("  score ")
    path = net.parent / "to" / "small" / "1" / "model.pt"
    signature = read_signature(path)
    assert signature is not None
    assert signature.max_batch_size == 8
    assert load(path)(torch.zeros(3, 16)).shape == (3, 2)
    assert "## Architecture" in (net.parent / "to" / "small" / "README.md").read_text()
    assert tritonctl(capsys, "lint", net.parent / "to" / "small").code == 0


def test_what_got_worse_is_refused(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = compress(capsys, net, "--method", "prune-channels", "--sparsity", 0.95, "--max-drop", 0.01)
    assert outcome.code == 1
    assert "prune-channels lowers the score by 0." in outcome.err
    assert "and 0.01 is allowed" in outcome.err
    assert not (net.parent / "to").exists()


def test_a_checkpoint_is_loaded_first(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it, the class starts with random weights."""
    namespace: dict[str, object] = {}
    exec(compile(FILE, "net.py", "exec"), namespace)  # noqa: S102 - the user's file, to make a checkpoint.
    checkpoint = net.parent / "net.ckpt"
    torch.save(namespace["trained"]().state_dict(), checkpoint)  # type: ignore[operator]
    options = ("--method", "fp16", "--max-drop", 0.01)
    outcome = compress(capsys, net, *options, "--weights", checkpoint, module="Net")
    assert outcome.code == 0, outcome.err
    score = float(outcome.out.splitlines()[-1].split()[1].rstrip(","))
    assert score > 0.95
    torch.save({"other": torch.ones(1)}, checkpoint)
    outcome = compress(capsys, net, *options, "--weights", checkpoint, module="Net")
    assert outcome.code == 1
    assert "is not a checkpoint of Net" in outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--evaluate", "{net}:fails"), "{net}:fails: ValueError: no data"),
        (("--evaluate", "{net}:ROWS"), "{net}:ROWS: must be a function, not Tensor"),
        (("--evaluate", "{net}"), "must be FILE.py:NAME"),
        (("--fine-tune", "{net}:train"), "fine-tuning is supported only after pruning"),
        (("--weights", "{net}"), "is not a checkpoint of Net"),
        (("--weights", "missing.ckpt"), "missing.ckpt: No such file or directory"),
    ],
)
def test_what_cannot_be_compressed(
    net: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    outcome = compress(capsys, net, "--method", "int8", *(each.format(net=net) for each in options), module="Net")
    assert outcome.code == 1
    assert words.format(net=net) in outcome.err
    assert not (net.parent / "to").exists()
