"""Write a repository of broken models, each with a different fault, for all tests of failures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
GOOD = ROOT / "model_repository" / "linear_regression"
NOT_TORCHSCRIPT = ROOT / "tests" / "models" / "not_torchscript"

CONFIG = """
backend: "{backend}"
max_batch_size: 0
input {{ name: "INPUT__0" data_type: TYPE_FP32 dims: [2] }}
output {{ name: "OUTPUT__0" data_type: TYPE_FP32 dims: [1] }}
instance_group {{ count: 1 kind: KIND_CPU }}
"""

SLOW = """
import time


class TritonPythonModel:
    def initialize(self, args):
        time.sleep(300)
"""

GREEDY = """
import time


class TritonPythonModel:
    def initialize(self, args):
        with open("/tmp/scratch", "wb") as file:
            for _ in range(320):
                file.write(bytes(1 << 20))
        time.sleep(300)
"""


def write_broken_models(folder: Path) -> None:
    """Write the models to an empty folder."""
    shutil.copytree(NOT_TORCHSCRIPT, folder / "not_torchscript")
    _with_config(folder / "no_version", lambda config: config)
    shutil.rmtree(folder / "no_version" / "1")
    _with_config(folder / "unparsable", lambda config: config.replace("max_batch_size: 64", "max_batch_size: many"))
    # The model has two features, the warm-up seven.
    _with_config(
        folder / "wrong_shape", lambda config: config.replace("dims: 2\n      zero_data", "dims: 7\n      zero_data")
    )
    _with_config(folder / "no_backend", lambda config: config.replace('"pytorch"', '"nosuch"'))
    _python_model(folder / "slow", SLOW)
    _python_model(folder / "greedy", GREEDY)


def _with_config(folder: Path, change: Callable[[str], str]) -> None:
    shutil.copytree(GOOD, folder)
    path = folder / "config.pbtxt"
    path.write_text(change(path.read_text()).replace('"linear_regression"', f'"{folder.name}"'))


def _python_model(folder: Path, code: str) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(CONFIG.format(backend="python"))
    (folder / "1" / "model.py").write_text(code)
