"""Parse a Containerfile: the subset of instructions that this repository's images use.

Input: the text of a Containerfile, which `docker build` accepts as well. Output: its instructions as data. `plan` calls
it. Supported: ARG before FROM, one FROM, COPY [--from=NAME], RUN [--mount=type=bind,...] ["program", ...], ENV,
WORKDIR, USER, ENTRYPOINT and CMD as JSON lists, EXPOSE. Everything else is rejected with its line, never skipped.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field

from hack.images.failures import ImageError

SCRATCH = "scratch"


@dataclass(frozen=True)
class Mount:
    """A read-only folder or file in a RUN instruction; `origin` is a build context, empty for the main context."""

    origin: str
    source: str
    target: str


@dataclass(frozen=True)
class Copy:
    """Files to add to the image; the content of a folder is copied into the folder `target`."""

    origin: str
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Run:
    """A program to run in the image built so far; the files that it writes become a layer."""

    command: tuple[str, ...]
    mounts: tuple[Mount, ...]


@dataclass(frozen=True)
class ImageSettings:
    """The settings of the image's containers; `env` as KEY=VALUE."""

    env: tuple[str, ...] = ()
    workdir: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerStep:
    """An instruction that creates a layer, with the settings that apply to it."""

    action: Copy | Run
    settings: ImageSettings


@dataclass(frozen=True)
class ImageRecipe:
    """A parsed Containerfile. `base` is `scratch` or the default value of an argument."""

    base: str
    arguments: dict[str, str] = field(default_factory=dict)
    steps: tuple[LayerStep, ...] = ()
    settings: ImageSettings = ImageSettings()


def parse(text: str, name: str = "Containerfile") -> ImageRecipe:
    """Parse the text. Raises `ImageError` with `name` and line for an unsupported instruction."""
    reader = _Reader()
    for number, line in _logical_lines(text):
        keyword, _, rest = line.partition(" ")
        try:
            reader.take(keyword.upper(), rest.strip())
        except ValueError as error:
            raise ImageError(f"{name}, line {number}: {error}") from error
    if not reader.base:
        raise ImageError(f"{name} has no FROM")
    return ImageRecipe(reader.base, reader.arguments, tuple(reader.steps), reader.settings)


class _Reader:
    def __init__(self) -> None:
        self.base = ""
        self.arguments: dict[str, str] = {}
        self.steps: list[LayerStep] = []
        self.settings = ImageSettings()

    def take(self, keyword: str, rest: str) -> None:
        if keyword == "ARG" and not self.base:
            key, _, value = rest.partition("=")
            self.arguments[key] = value
        elif keyword == "FROM" and not self.base:
            self.base = re.sub(r"\$\{(\w+)\}", lambda match: self.arguments[match[1]], rest)
        elif keyword in {"COPY", "RUN"}:
            action = _copy(rest) if keyword == "COPY" else _run(rest)
            self.steps.append(LayerStep(action, self.settings))
        else:
            self.settings = _changed(self.settings, keyword, rest)


def _changed(settings: ImageSettings, keyword: str, rest: str) -> ImageSettings:
    values = vars(settings)
    if keyword == "ENV":
        return ImageSettings(**{**values, "env": (*settings.env, *_assignments(rest))})
    if keyword in {"WORKDIR", "USER"}:
        return ImageSettings(**{**values, keyword.lower(): rest})
    if keyword == "ENTRYPOINT":
        return ImageSettings(**{**values, "entrypoint": _json_list(rest), "command": ()})
    if keyword == "CMD":
        return ImageSettings(**{**values, "command": _json_list(rest)})
    if keyword == "EXPOSE":
        return ImageSettings(**{**values, "ports": (*settings.ports, *rest.split())})
    raise ValueError(f"{keyword} is not supported; use docker build, or add it to hack/images/containerfile.py")


def _assignments(rest: str) -> list[str]:
    words = shlex.split(rest)
    if not all("=" in word for word in words):
        raise ValueError(f"ENV {rest}: expected KEY=VALUE")
    return words


def _json_list(rest: str) -> tuple[str, ...]:
    if not rest.startswith("["):
        raise ValueError(f"{rest!r} requires a shell, which the base image may not have; use a JSON list")
    return tuple(json.loads(rest))


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    flags = []
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        key, _, value = word[2:].partition("=")
        flags.append((key, value))
        rest = rest.lstrip()
    return flags, rest


def _copy(rest: str) -> Copy:
    flags, rest = _flags(rest)
    options = dict(flags)
    if set(options) - {"from"}:
        raise ValueError(f"COPY --{min(set(options) - {'from'})} is not supported")
    *sources, target = _json_list(rest) if rest.startswith("[") else rest.split()
    if not sources or not target.startswith("/"):
        raise ValueError(f"COPY {rest}: expected sources and an absolute target")
    return Copy(options.get("from", ""), tuple(sources), target)


def _run(rest: str) -> Run:
    flags, rest = _flags(rest)
    return Run(_json_list(rest), tuple(_mount(key, value) for key, value in flags))


def _mount(key: str, value: str) -> Mount:
    options = dict(part.partition("=")[::2] for part in value.split(","))
    known = {"type", "from", "source", "target"}
    if key != "mount" or options.get("type") != "bind" or set(options) - known or "target" not in options:
        raise ValueError(f"RUN --{key}={value}: only --mount=type=bind[,from=][,source=],target= is supported")
    return Mount(options.get("from", ""), options.get("source", "."), options["target"])


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, with continuation lines joined, and the number of the first line of each."""
    result: list[tuple[int, str]] = []
    pending, started = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        started = started if pending else number
        pending += line.removesuffix("\\").rstrip() + " "
        if not line.endswith("\\"):
            result.append((started, pending.strip()))
            pending = ""
    return result
