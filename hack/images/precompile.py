"""Compile the modules that a program imports, so that an image starts fast from a read-only file system.

    precompile.py MODULE...

Imports the modules and compiles every source file that came with them, those of Python itself too. Run inside an image
while it is built. The compiled files are not checked against their sources later: in an image nothing changes.
"""

from __future__ import annotations

import importlib
import py_compile
import sys
import warnings
from pathlib import Path


def main(names: list[str]) -> int:
    """Import and compile; the number of files."""
    warnings.simplefilter("ignore")
    for name in names:
        importlib.import_module(name)
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # torch makes modules whose files do not exist, such as `_classes.py`.
    sources = sorted(
        file for file in files if file and file.endswith(".py") and Path(file).is_file() and file != __file__
    )
    for source in sources:
        py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return len(sources)


if __name__ == "__main__":
    print(f"{main(sys.argv[1:])} modules compiled")
