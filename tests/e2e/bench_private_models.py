"""Measure the start of pods with an encrypted model, and with a masking step, against pods without.

The targets: an encrypted model of 500 MB becomes ready in at most 1.5 times the time of the same model in the clear,
and masking adds at most two seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from hack.cluster.handle import RunningCluster
from tests.benchmarks.costs import Costs, Scale
from tests.e2e.start_times import median_start_times
from tests.kube import Kube, Object
from tests.volumes import claimed_folder, volume_name
from training import REPOSITORY
from triton_operator.cli.mask_model.command import mask_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset
from triton_operator.export.exporter import deprecation_known

ROUNDS = 3
NUMBERS = 500_000_000 // 4
TEXTS = ("chinese_texts", "character_tokenizer", "chinese_texts_model", "feeling_labels")
CONFIG = """
backend: "pytorch"
max_batch_size: 8
input { name: "INPUT__0" data_type: TYPE_FP32 dims: 1 }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: 1 }
"""


class Large(torch.nn.Module):
    """A model with 500 MB of parameters, of which it uses one."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = torch.nn.Parameter(torch.rand(NUMBERS), requires_grad=False)

    def forward(self, row: torch.Tensor) -> torch.Tensor:
        """Add a parameter."""
        return row + self.numbers[0]


@pytest.fixture
def claim(node: RunningCluster, kube: Kube) -> Iterator[Path]:
    """Create a claim for one test; return its folder on this machine."""
    with claimed_folder(node, kube, "benchmark") as folder:
        yield folder
    volume = volume_name("benchmark", kube.namespace)
    kube.wait(lambda: not kube.get("persistentvolume", volume), "the volume is gone, which the next test creates again")


@pytest.mark.timeout(1800)
def bench_encrypted_model(kube: Kube, model_deployment: Callable[..., Object], claim: Path, costs: Costs) -> None:
    """The limits are the same, so that the encrypted model has no more memory or CPU."""
    add_models(claim, kube)
    bodies = {}
    for mode, spec in {
        "in the clear": {},
        "encrypted": {"decryption": {"secretRef": {"name": "model-keys"}, "memory": "520Mi"}},
    }.items():
        repository = {"pvc": {"claimName": "benchmark", "path": f"/{mode.split()[-1]}"}}
        body = model_deployment("large", modelRepository=repository, privacy={"profile": "Open"}, **spec)
        body["metadata"]["name"] = f"large-{mode.split()[-1]}"
        body["spec"]["resources"]["limits"] = {"memory": "3Gi"}
        bodies[mode] = body
    medians = median_start_times(kube, costs, bodies, ROUNDS)
    for mode, seconds in medians.items():
        costs.add(f"from apply to Ready, 500 MB, {mode}", seconds * 1000, "ms", Scale.CLOCK)
    ratio = medians["encrypted"] / medians["in the clear"]
    costs.add("from apply to Ready, 500 MB, encrypted against in the clear (target 1.5)", ratio, "times")


def add_models(folder: Path, kube: Kube) -> None:
    """The same model, in the clear and encrypted, and the Secret with the key."""
    clear, keyset = folder / "clear" / "large", folder / "keyset.json"
    (clear / "1").mkdir(parents=True)
    (clear / "config.pbtxt").write_text(CONFIG)
    with deprecation_known():
        torch.jit.save(torch.jit.script(Large()), clear / "1" / "model.pt")
    create_keyset(keyset)
    (folder / "encrypted").mkdir()
    encrypt_model(clear, folder / "encrypted" / "large", read_keyset(keyset.read_bytes(), "keyset"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-keys"}}
    kube.apply(secret | {"stringData": {"keyset.json": keyset.read_text()}})


@pytest.mark.timeout(1800)
def bench_masking_step(kube: Kube, model_deployment: Callable[..., Object], claim: Path, costs: Costs) -> None:
    """The models of the example, with `mask` and the ensemble that begins with it, against the models alone."""
    for name in TEXTS:
        shutil.copytree(REPOSITORY / name, claim / name)
    mask_model(claim, before=TEXTS[0])
    models = {"without masking": TEXTS, "with masking": ("masked_chinese_texts", "mask", *TEXTS[1:])}
    bodies = {}
    for mode, names in models.items():
        body = model_deployment(
            mode.replace(" ", "-"),
            modelRepository={"pvc": {"claimName": "benchmark"}},
            models=[{"name": name} for name in names],
            privacy={"profile": "Open"},
        )
        bodies[mode] = body
    medians = median_start_times(kube, costs, bodies, ROUNDS)
    for mode, seconds in medians.items():
        costs.add(f"from apply to Ready, chinese_texts, {mode}", seconds * 1000, "ms", Scale.CLOCK)
    added = medians["with masking"] - medians["without masking"]
    costs.add("from apply to Ready, time added by masking (target 2,000)", added * 1000, "ms", Scale.CLOCK)
