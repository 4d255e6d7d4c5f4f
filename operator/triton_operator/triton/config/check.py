"""Check one typed configuration for contradictions that the CRD's schema cannot detect but Triton would reject.

Input: a configuration. Output: nothing, or a ConfigError with all contradictions, each with the path of the field below
`config`. `resources` calls it before it renders a pod. The rules are those for a hand-written config.pbtxt (`rules`),
which Triton would apply only when the pod starts.
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
"""The API's name of each of Triton's fields."""


def check(config: ModelConfig) -> None:
    """Raise ConfigError for contradictions; missing fields may still come from the model's file."""
    message = to_message(config, name="model")
    if config.ensemble:
        message = {field: values for field, values in message.items() if field != "backend"} | {"platform": [ENSEMBLE]}
    problems = [*check_rules(message, is_whole=False), *unknown_in_warmup(message)]
    if problems:
        raise ConfigError("; ".join(f"{_as_written(problem.path)}: {problem.message}" for problem in problems))


def _as_written(path: str) -> str:
    """A path in Triton's terms as a path in the API; text in brackets is the user's and stays unchanged."""
    path = path.replace(".control.", ".").removesuffix(".control")  # The API has no nested message here.
    return re.sub(r"(?<![\w\[])\w+(?=\.|\[|$)", lambda found: _NAMES.get(found[0], found[0]), path)
