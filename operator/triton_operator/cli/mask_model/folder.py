"""Write the folder of the masking model: config.pbtxt, model.py and the library that it imports.

Input: a repository, a name, the actions and the shape of the texts. Output: the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.batching import DynamicBatching
from triton_operator.api.model import Format
from triton_operator.api.model_config import Input, InstanceGroup, InstanceKind, ModelConfig, Output
from triton_operator.api.tensor import DataType
from triton_operator.cli.mask_model.library import write_library
from triton_operator.masking import MaskingAction, PersonalDataKind
from triton_operator.masking.triton_step import ACTIONS, INPUT, KEY_FILE, OUTPUT
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.text.writer import write

LIBRARY = "library.zip"
_PROGRAM = f'''"""Mask personal data in text. `tritonctl mask-model` wrote this file; the code is in {LIBRARY}."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("{LIBRARY}")))

from triton_operator.masking.triton_step import TritonPythonModel  # noqa: E402

__all__ = ["TritonPythonModel"]
'''


class Texts(NamedTuple):
    """The shape of the texts: the maximum batch size, 0 without a batch dimension, and the other dimensions."""

    max_batch_size: int = 64
    dims: tuple[int, ...] = (1,)


def write_mask(
    folder: Path, actions: Mapping[PersonalDataKind, MaskingAction], texts: Texts, key_file: str = ""
) -> None:
    """Write the model; raises MaskingError if a package is missing."""
    version = folder / "1"
    version.mkdir(parents=True, exist_ok=True)
    write_library(version / LIBRARY)
    (version / "model.py").write_text(_PROGRAM, encoding="utf-8")
    message = to_message(_config(actions, texts, key_file), name=folder.name, format=Format.PYTHON)
    (folder / CONFIG_NAME).write_text(write(message), encoding="utf-8")


def _config(actions: Mapping[PersonalDataKind, MaskingAction], texts: Texts, key_file: str) -> ModelConfig:
    parameters = {ACTIONS: json.dumps(dict(sorted(actions.items()))), **({KEY_FILE: key_file} if key_file else {})}
    return ModelConfig(
        (Input(INPUT, DataType.STRING, texts.dims),),
        (Output(OUTPUT, DataType.STRING, texts.dims),),
        max_batch_size=texts.max_batch_size,
        instance_groups=(InstanceGroup(count=1, kind=InstanceKind.CPU),),
        dynamic_batching=DynamicBatching() if texts.max_batch_size else None,
        parameters=parameters,
    )
