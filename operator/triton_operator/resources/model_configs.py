"""Render the configurations of a deployment's models from the spec, completed with defaults.

Pure. Input: a spec. Output: a RenderedConfig for each model. `revision` writes their texts to the ConfigMap and lists
them for `prepare`, `pod` computes the size of shared memory from them, and the CLI prints the reasons. `prepare` reads
configurations in a user's ConfigMap or in the repository, because the operator cannot read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.model import Model
from triton_operator.api.spec import Spec
from triton_operator.resources.gpu_packing import place_models
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.model_formats import aotinductor_backend
from triton_operator.resources.server_environment import cpu_limit
from triton_operator.resources.server_image import ServerImage
from triton_operator.triton.config.check import check
from triton_operator.triton.config.defaults import Choice, TuningInputs, complete
from triton_operator.triton.config.formats import with_aotinductor_backend
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.prepare_contract.request import Preparation, PreparationModel
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.writer import write


class RenderedConfig(NamedTuple):
    """One model's configuration: `file` is its name in CONFIG_DIR, "" if the repository's config.pbtxt is used.

    `message` is the configuration in the spec, completed with `choices`; None if it is not in the spec.
    """

    model: Model
    file: str
    tuning: TuningInputs
    message: Message | None = None
    choices: tuple[Choice, ...] = ()


def render_configs(spec: Spec, server: ServerImage | None = None) -> list[RenderedConfig]:
    """The configuration of each model for this server, in the order of the spec; raises InvalidSpecError."""
    placement = place_models(spec)
    return [_render(spec, index, placement.get(model.name, ()), server) for index, model in enumerate(spec.models)]


def config_files(configs: Sequence[RenderedConfig]) -> dict[str, str]:
    """The configurations' entries in the ConfigMap: text by key."""
    return {config.file: write(config.message) for config in configs if config.message is not None}


def known_messages(configs: Sequence[RenderedConfig]) -> dict[str, Message]:
    """The configurations that the spec contains, by model name."""
    return {config.model.name: config.message for config in configs if config.message is not None}


def config_volume(config_name: str, configs: Sequence[RenderedConfig], others: Sequence[Manifest] = ()) -> Manifest:
    """The volume at CONFIG_DIR: the operator's ConfigMap, the keys of users' ConfigMaps, and `others`.

    Users' ConfigMaps are optional, because `prepare` reports a missing one with its key and the model, which the
    kubelet does not.
    """
    users = [*(_users_source(config) for config in configs if config.model.config_map_ref), *others]
    if not users:
        return {"configMap": {"name": config_name}}
    return {"projected": {"sources": [{"configMap": {"name": config_name}}, *users]}}


def add_configs(preparation: Preparation, configs: Sequence[RenderedConfig]) -> Preparation:
    """The preparation, completed with the configuration of each model."""
    models = zip(preparation.models, configs, strict=True)
    return msgspec.structs.replace(preparation, models=tuple(_add(model, config) for model, config in models))


def _render(spec: Spec, index: int, placed_on: tuple[int, ...], server: ServerImage | None) -> RenderedConfig:
    model, gpus = spec.models[index], spec.gpu.count if spec.gpu else 0
    tuning = TuningInputs(cpu_limit(spec), gpus, objective=model.objective or "", placed_on=placed_on)
    if model.config is None:
        return RenderedConfig(model, f"{index}.pbtxt" if model.config_map_ref else "", tuning)
    try:
        check(model.config)
        message = to_message(model.config, name=model.name, format=model.format, version_policy=model.version_policy)
    except ConfigError as error:
        raise InvalidSpecError(Reason.INVALID_SPEC, f"spec.models[{index}].config", str(error)) from error
    if server and (backend := aotinductor_backend(model, server)):
        message = with_aotinductor_backend(message, backend)
    completed = complete(message, tuning)
    return RenderedConfig(model, f"{index}.pbtxt", tuning, completed.message, completed.choices)


def _users_source(config: RenderedConfig) -> Manifest:
    reference = config.model.config_map_ref
    assert reference  # noqa: S101 -- the caller has checked it
    items = [{"key": reference.key, "path": config.file}]
    return {"configMap": {"name": reference.name, "items": items, "optional": True}}


def _add(entry: PreparationModel, config: RenderedConfig) -> PreparationModel:
    model, reference = config.model, config.model.config_map_ref
    return msgspec.structs.replace(
        entry,
        config=config.file,
        config_map=reference.name if reference else "",
        config_key=reference.key if reference else "",
        format=model.format or "",
        digest=model.digest or "",
        version_policy=model.version_policy,
        tuning=config.tuning,
    )
