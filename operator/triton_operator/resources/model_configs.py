"""The configurations of a deployment's models from the spec, completed with defaults.

Pure; a spec goes in, a RenderedConfig for each model leaves. `revision` puts their texts into the ConfigMap and tells
`prepare` about them, `pod` sizes shared memory by them, the CLI prints the reasons. A text that the user keeps in a
ConfigMap of their own, or in the repository, is not known here: `prepare` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.model import Model
from triton_operator.api.spec import Spec
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
    """One model's configuration: `file` is its name in CONFIG_DIR, "" where the repository's own counts.

    `message` is the typed one, completed with `choices`; None where the text is not the spec's.
    """

    model: Model
    file: str
    tuning: TuningInputs
    message: Message | None = None
    choices: tuple[Choice, ...] = ()


def render_configs(spec: Spec, server: ServerImage | None = None) -> list[RenderedConfig]:
    """One for each model of the spec, in its order, as this server understands it; raises InvalidSpecError."""
    return [_render(spec, index, model, server) for index, model in enumerate(spec.models)]


def config_files(configs: Sequence[RenderedConfig]) -> dict[str, str]:
    """What the ConfigMap holds of them: text by key."""
    return {config.file: write(config.message) for config in configs if config.message is not None}


def known_messages(configs: Sequence[RenderedConfig]) -> dict[str, Message]:
    """The configurations that the spec says, by model."""
    return {config.model.name: config.message for config in configs if config.message is not None}


def config_volume(config_name: str, configs: Sequence[RenderedConfig]) -> Manifest:
    """The volume at CONFIG_DIR: the ConfigMap of the operator, with the users' keys in addition to its own.

    The users' are optional, because `prepare` can say which one is missing where the kubelet names neither its key nor
    the model.
    """
    users = [config for config in configs if config.model.config_map_ref]
    if not users:
        return {"configMap": {"name": config_name}}
    return {"projected": {"sources": [{"configMap": {"name": config_name}}, *map(_users_source, users)]}}


def add_configs(preparation: Preparation, configs: Sequence[RenderedConfig]) -> Preparation:
    """The same preparation with what `prepare` has to know of each model's configuration."""
    models = zip(preparation.models, configs, strict=True)
    return msgspec.structs.replace(preparation, models=tuple(_add(model, config) for model, config in models))


def _render(spec: Spec, index: int, model: Model, server: ServerImage | None) -> RenderedConfig:
    tuning = TuningInputs(cpus=cpu_limit(spec), gpus=spec.gpu.count if spec.gpu else 0, objective=model.objective or "")
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
    assert reference  # noqa: S101 -- asked for by the caller
    items = [{"key": reference.key, "path": config.file}]
    return {"configMap": {"name": reference.name, "items": items, "optional": True}}


def _add(wanted: PreparationModel, config: RenderedConfig) -> PreparationModel:
    model, reference = config.model, config.model.config_map_ref
    return msgspec.structs.replace(
        wanted,
        config=config.file,
        config_map=reference.name if reference else "",
        config_key=reference.key if reference else "",
        format=model.format or "",
        digest=model.digest or "",
        version_policy=model.version_policy,
        tuning=config.tuning,
    )
