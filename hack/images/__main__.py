"""Command line: `python -m hack.images build [NAME...] | list | command NAME | prune`.

build prints each image's reference and archive. list shows which images are built. command prints the `docker build`
command for the same Containerfile. prune removes all cached layers and archives that the current sources do not use,
including those of other checkouts. A build removes only those that have not been used for three days.
"""

from __future__ import annotations

import argparse
import shlex
import sys

from hack.failures import LocalClusterError
from hack.images import build
from hack.images.builder import image_of, prune
from hack.images.catalogue import IMAGES, ROOT, definition
from hack.images.contexts import Folder
from hack.images.failures import ImageError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 1 after an error message if an image cannot be built."""
    options = _parser().parse_args(arguments)
    try:
        for line in _COMMANDS[options.command](options.names):
            print(line)
    except (ImageError, LocalClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.images", description="Container images of this repository.")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"images, all by default: {', '.join(IMAGES)}")
    return parser


def _build(names: list[str]) -> list[str]:
    return [f"{image.reference}\t{image.archive}" for image in build(*names)]


def _list(names: list[str]) -> list[str]:
    images = [image_of(definition(name)) for name in names or IMAGES]
    return [f"{image.reference}\t{_state(image.archive)}" for image in images]


def _state(archive: object) -> str:
    from pathlib import Path

    path = Path(str(archive))
    return f"{path.stat().st_size / 1e6:.0f} MB" if path.exists() else "not built"


def _command(names: list[str]) -> list[str]:
    return [docker_command(name) for name in names or IMAGES]


def docker_command(name: str) -> str:
    """Return the `docker build` command for an image, and prepare its named build contexts."""
    chosen = definition(name)
    contexts = [f"--build-context={key}={context.local_path('.')}" for key, context in chosen.contexts.items()]
    main = chosen.main.root if isinstance(chosen.main, Folder) else ROOT
    words = ["docker", "build", "--file", str(chosen.containerfile), *contexts]
    return shlex.join([*words, "--tag", image_of(chosen).reference, str(main)])


def _prune(_names: list[str]) -> list[str]:
    return [f"{prune([definition(name) for name in IMAGES]) / 1e6:.0f} MB freed"]


_COMMANDS = {"build": _build, "list": _list, "command": _command, "prune": _prune}

if __name__ == "__main__":
    sys.exit(main())
