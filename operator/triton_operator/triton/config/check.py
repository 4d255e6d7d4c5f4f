"""Contradictions inside one typed configuration that no rule of the schema can see, but Triton would.

A configuration goes in; nothing leaves, or a ConfigError that begins with the field as a user wrote it below `config`
and has every contradiction. `resources` asks before a pod is made. The rules are those for a hand-written config.pbtxt
(`config_rules`), which Triton would apply only when the pod starts.
"""

from __future__ import annotations

import re
from itertools import chain

from triton_operator.api.model_config import ModelConfig
from triton_operator.triton.config.constants import ENSEMBLE
from triton_operator.triton.config.fields import COVERED
from triton_operator.triton.config.rules import check_rules, unknown_in_warmup
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.text.errors import ConfigError

_NAMES = {
    field: place.removesuffix("[]").rpartition(".")[2]
    for field, place in chain.from_iterable(fields.items() for fields in COVERED.values())
    if field not in {"key", "value"} and place.removesuffix("[]").rpartition(".")[2].isalpha()
} | {"reshape": "reshape", "initial_state": "initialState"}
"""The API's name of each of Triton's fields, wherever it is."""


def check(config: ModelConfig) -> None:
    """Raise ConfigError for what contradicts; what is missing may still come from the model's file."""
    message = to_message(config, name="model")
    if config.ensemble:
        message = {field: values for field, values in message.items() if field != "backend"} | {"platform": [ENSEMBLE]}
    problems = [*check_rules(message, is_whole=False), *unknown_in_warmup(message)]
    if problems:
        raise ConfigError("; ".join(f"{_as_written(problem.path)}: {problem.message}" for problem in problems))


def _as_written(path: str) -> str:
    """A path in Triton's terms as the API has it; what stands in brackets is the user's own."""
    path = path.replace(".control.", ".").removesuffix(".control")  # The API has its fields beside the name.
    return re.sub(r"(?<![\w\[])\w+(?=\.|\[|$)", lambda found: _NAMES.get(found[0], found[0]), path)
