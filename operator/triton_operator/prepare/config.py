"""Which configuration a model gets: the object's, a ConfigMap's, the repository's own, or one made from its signature.

A model's folder and what the object asks for go in; a message with its origin leaves, then the text to write. `model`
calls it. What contradicts is ConfigInvalid and names both sides.
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
from triton_operator.triton.config.defaults import complete
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.config.formats import with_aotinductor_backend
from triton_operator.triton.config.model_config import CONFIG_NAME, ConfigError, interpret
from triton_operator.triton.config.model_config import ModelConfig as ReadConfig
from triton_operator.triton.config.signature_merge import merge
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.writer import write


class Author(Enum):
    """Who wrote a configuration."""

    OBJECT = auto()
    """`spec.models[].config`, rendered by the operator."""
    CONFIG_MAP = auto()
    """A person, into a ConfigMap beside the object."""
    REPOSITORY = auto()
    """A person, into the model's folder."""
    NOBODY = auto()
    """Only the model's own signature can tell."""

    @property
    def is_person(self) -> bool:
        """Whether the text is hand-written: without an objective only what the signature tells is filled in then."""
        return self in {Author.CONFIG_MAP, Author.REPOSITORY}


class Chosen(NamedTuple):
    """A model's configuration: `origin` is what messages call it, `is_changed` whether the object says otherwise."""

    author: Author
    origin: str
    message: Message
    is_changed: bool = False

    @property
    def config(self) -> ReadConfig:
        """The part that decides what is served; raises ConfigError."""
        return interpret(self.message)


def read_object_config(wanted: PreparationModel, config_dir: Path) -> Chosen | None:
    """The configuration that the object brings along, None where it brings none; raises PrepareError."""
    return _overridden(wanted, _object_config(wanted, config_dir / wanted.config)) if wanted.config else None


def read_folder_config(repository: Repository, wanted: PreparationModel, folder: Path) -> Chosen:
    """The configuration in the model's folder, or the beginning of one; raises PrepareError."""
    own = folder / CONFIG_NAME
    if own.exists() or own.is_symlink():
        return _overridden(wanted, _repository_config(repository, wanted, own))
    kind = Format.AOT_INDUCTOR if not wanted.format and _is_compiled(folder) else None
    return Chosen(Author.NOBODY, "the object", _said_by_object(wanted, kind))


def finish(wanted: PreparationModel, chosen: Chosen, signatures: dict[str, Signature]) -> str:
    """The text that Triton gets, "" for the repository's own file as it is; raises PrepareError.

    `signatures` are by the shown path of the version's file: all versions have to bear the configuration out.
    """
    message = chosen.message
    if wanted.aotinductor_backend:
        message = with_aotinductor_backend(message, wanted.aotinductor_backend)
    for path, signature in signatures.items():
        try:
            message = merge(message, signature, chosen.origin)
        except ConfigError as error:
            raise config_invalid(wanted.name, f"{path}: {error}") from error
    if wanted.facts and wanted.facts.apply_to(hand_written=chosen.author.is_person):
        message = complete(message, wanted.facts).message
    untouched = chosen.author is Author.REPOSITORY and not chosen.is_changed and message == chosen.message
    return "" if untouched else write(message)


def _overridden(wanted: PreparationModel, found: Chosen) -> Chosen:
    """The object's version policy goes before the text's."""
    if wanted.version_policy is None:
        return found
    message = found.message | {"version_policy": _said_by_object(wanted)["version_policy"]}
    return found._replace(message=message, is_changed=message != found.message or found.is_changed)


def _is_compiled(folder: Path) -> bool:
    """Whether its versions have files of AOTInductor and none of TorchScript, which counts where both are there."""
    return any(folder.glob("*/model.pt2")) and not any(folder.glob("*/model.pt"))


def _said_by_object(wanted: PreparationModel, kind: Format | None = None) -> Message:
    """What a configuration would have in it if the object said no more than the model's own fields."""
    return to_message(
        ModelConfig(),
        name=wanted.name,
        format=Format(wanted.format) if wanted.format else kind,
        version_policy=wanted.version_policy,
    )


def _object_config(wanted: PreparationModel, path: Path) -> Chosen:
    """A text in the pod's own folder: what the operator rendered, or a user's ConfigMap."""
    if not wanted.config_map:
        return Chosen(Author.OBJECT, f"spec.models[{wanted.name}].config", _read(wanted.name, path, path.name))
    origin = f'ConfigMap "{wanted.config_map}", key "{wanted.config_key}"'
    if not path.exists():
        raise PrepareError(
            Reason.DEPENDENCY_MISSING, wanted.name, f"there is no {origin} with the configuration of the model"
        )
    return _named(wanted, Chosen(Author.CONFIG_MAP, origin, _read(wanted.name, path, origin)), also=wanted.name)


def _repository_config(repository: Repository, wanted: PreparationModel, path: Path) -> Chosen:
    shown = repository.shown(path)
    if path.is_symlink():
        repository.check_links(wanted.name, path.parent, [path.name])
    if not path.is_file():
        raise config_invalid(wanted.name, f"{shown} is no file")
    chosen = Chosen(Author.REPOSITORY, shown, _read(wanted.name, path, shown))
    return _named(wanted, chosen, also=path.parent.name)


def _read(name: str, path: Path, shown: str) -> Message:
    try:
        text = read_config_text(path)
    except ConfigError as error:
        raise config_invalid(name, f"{shown} {error}") from error
    try:
        return parse(text)
    except ValueError as error:
        raise config_invalid(name, f"{shown}: {error}") from error


def _named(wanted: PreparationModel, chosen: Chosen, also: str) -> Chosen:
    """The name that is served is the object's; a file may have that, or none, or its folder's, `also`."""
    try:
        found = chosen.config.name
    except ConfigError as error:
        raise config_invalid(wanted.name, f"{chosen.origin}: {error}") from error
    if found in {"", wanted.name}:
        return chosen
    if found == also:
        return chosen._replace(message=chosen.message | {"name": [wanted.name]}, is_changed=True)
    raise config_invalid(
        wanted.name,
        f'{chosen.origin} has name: "{found}", but the model is called "{wanted.name}" in spec.models; '
        "make them equal or leave the name out of the file",
    )
