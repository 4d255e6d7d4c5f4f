"""Choose a model's configuration: from the object, a ConfigMap, the repository or the signature in the model's file.

Input: a model's folder and the model as the object requests it. Output: a ChosenConfig, and then the text of the final
config.pbtxt. `model` calls it. A contradiction raises PrepareError with the reason ConfigInvalid, and the message names
both sides.
"""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.model import Format
from triton_operator.api.model_config import ModelConfig
from triton_operator.prepare.errors import PrepareError, config_invalid
from triton_operator.prepare.repository import Repository
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.defaults import complete, place
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.config.formats import with_aotinductor_backend
from triton_operator.triton.config.signature_merge import merge
from triton_operator.triton.config.summary import ConfigSummary, summarize
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.writer import write


class Author(Enum):
    """Who wrote a configuration."""

    OBJECT = auto()
    """`spec.models[].config`, rendered by the operator."""
    CONFIG_MAP = auto()
    """A person, in a ConfigMap."""
    REPOSITORY = auto()
    """A person, in the model's folder."""
    NOBODY = auto()
    """There is no configuration; the signature in the model's file replaces it."""

    @property
    def is_person(self) -> bool:
        """Whether a person wrote the text; without an objective, only the signature completes such a text."""
        return self in {Author.CONFIG_MAP, Author.REPOSITORY}


class ChosenConfig(NamedTuple):
    """A model's configuration.

    `origin` is its name in messages, `is_changed` whether the object overrides a part of it.
    """

    author: Author
    origin: str
    message: Message
    is_changed: bool = False

    @property
    def config(self) -> ConfigSummary:
        """The fields that decide what is served; raises ConfigError."""
        return summarize(self.message)


def read_object_config(request: PreparationModel, config_dir: Path) -> ChosenConfig | None:
    """The configuration in the object, None if there is none; raises PrepareError."""
    return _overridden(request, _object_config(request, config_dir / request.config)) if request.config else None


def read_folder_config(repository: Repository, request: PreparationModel, folder: Path) -> ChosenConfig:
    """The configuration in the model's folder, or a minimal one; raises PrepareError."""
    own = folder / CONFIG_NAME
    if own.exists() or own.is_symlink():
        return _overridden(request, _repository_config(repository, request, own))
    kind = Format.AOT_INDUCTOR if not request.format and _is_compiled(folder) else None
    return ChosenConfig(Author.NOBODY, "the object", _object_fields(request, kind))


def render_config(request: PreparationModel, chosen: ChosenConfig, signatures: dict[str, Signature]) -> str:
    """The text of config.pbtxt for Triton, "" if the repository's file is used unchanged; raises PrepareError.

    `signatures` maps the shown path of each version's file to its signature; every one must match the configuration.
    """
    message = chosen.message
    if request.aotinductor_backend:
        message = with_aotinductor_backend(message, request.aotinductor_backend)
    for path, signature in signatures.items():
        try:
            message = merge(message, signature, chosen.origin)
        except ConfigError as error:
            raise config_invalid(request.name, f"{path}: {error}") from error
    if request.tuning and request.tuning.may_complete(hand_written=chosen.author.is_person):
        message = complete(message, request.tuning).message
    elif request.tuning:
        message = place(message, request.tuning)
    untouched = chosen.author is Author.REPOSITORY and not chosen.is_changed and message == chosen.message
    return "" if untouched else write(message)


def _overridden(request: PreparationModel, found: ChosenConfig) -> ChosenConfig:
    """The object's version policy overrides the one in the text."""
    if request.version_policy is None:
        return found
    message = found.message | {"version_policy": _object_fields(request)["version_policy"]}
    return found._replace(message=message, is_changed=message != found.message or found.is_changed)


def _is_compiled(folder: Path) -> bool:
    """Whether the versions have AOTInductor files and no TorchScript files, which take precedence."""
    return any(folder.glob("*/model.pt2")) and not any(folder.glob("*/model.pt"))


def _object_fields(request: PreparationModel, kind: Format | None = None) -> Message:
    """The configuration that consists of the object's fields for the model only."""
    return to_message(
        ModelConfig(),
        name=request.name,
        format=Format(request.format) if request.format else kind,
        version_policy=request.version_policy,
    )


def _object_config(request: PreparationModel, path: Path) -> ChosenConfig:
    """A text in CONFIG_DIR: rendered by the operator, or from a user's ConfigMap."""
    if not request.config_map:
        return ChosenConfig(Author.OBJECT, f"spec.models[{request.name}].config", _read(request.name, path, path.name))
    origin = f'ConfigMap "{request.config_map}", key "{request.config_key}"'
    if not path.exists():
        raise PrepareError(
            Reason.DEPENDENCY_MISSING,
            request.name,
            f"{origin} does not exist; it must contain the configuration of the model",
        )
    return _named(
        request, ChosenConfig(Author.CONFIG_MAP, origin, _read(request.name, path, origin)), also=request.name
    )


def _repository_config(repository: Repository, request: PreparationModel, path: Path) -> ChosenConfig:
    shown = repository.shown(path)
    if path.is_symlink():
        repository.check_links(request.name, path.parent, [path.name])
    if not path.is_file():
        raise config_invalid(request.name, f"{shown} is not a file")
    chosen = ChosenConfig(Author.REPOSITORY, shown, _read(request.name, path, shown))
    return _named(request, chosen, also=path.parent.name)


def _read(name: str, path: Path, shown: str) -> Message:
    try:
        text = read_config_text(path)
    except ConfigError as error:
        raise config_invalid(name, f"{shown} {error}") from error
    try:
        return parse(text)
    except ValueError as error:
        raise config_invalid(name, f"{shown}: {error}") from error


def _named(request: PreparationModel, chosen: ChosenConfig, also: str) -> ChosenConfig:
    """Set the model's name in the object; a file may contain this name, no name, or `also`, the name of its folder."""
    try:
        found = chosen.config.name
    except ConfigError as error:
        raise config_invalid(request.name, f"{chosen.origin}: {error}") from error
    if found in {"", request.name}:
        return chosen
    if found == also:
        return chosen._replace(message=chosen.message | {"name": [request.name]}, is_changed=True)
    raise config_invalid(
        request.name,
        f'{chosen.origin} has name: "{found}", but the model is named "{request.name}" in spec.models; '
        "make the names equal or remove the name from the file",
    )
