"""Command line of the demo: `python -m hack.demo up|down|pack FOLDER`.

Output: exit status 0, or 1 with a message that states the problem and its solution.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hack.cache import give_back
from hack.cluster import LocalClusterError
from hack.demo.end import down
from hack.demo.failures import DemoError
from hack.demo.next_steps import demo_down
from hack.demo.pack import pack_models
from hack.demo.run import up
from hack.images.failures import ImageError
from hack.install import InstallError
from hack.progress import say
from triton_operator.sdk import SdkError

_INTERRUPTED = 130


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description="Serve a model on a local cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("up", help="start everything and send requests").set_defaults(run=lambda _: up())
    commands.add_parser("down", help="remove everything").set_defaults(run=lambda _: down())
    pack = commands.add_parser("pack", help="pack a folder into a model container for the running cluster")
    pack.add_argument("folder", type=Path)
    pack.set_defaults(run=lambda options: print(pack_models(options.folder).reference))
    options = parser.parse_args()
    try:
        options.run(options)
    except (LocalClusterError, ImageError, InstallError, DemoError, SdkError, NotADirectoryError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say(f"interrupted; run the same command again to continue, or `{demo_down(os.environ)}` to remove everything")
        return _INTERRUPTED
    finally:
        give_back()
    return 0


if __name__ == "__main__":
    sys.exit(main())
