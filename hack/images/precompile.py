"""Compile the modules that a program imports, so that an image starts fast from a read-only file system.

    precompile.py MODULE...

Imports the modules and compiles all loaded source files, including those of Python itself. Runs inside an image during
its build. The compiled files are not checked against their sources later, because the files of an image do not change.
"""

from __future__ import annotations

import importlib
import py_compile
import sys
import warnings
from pathlib import Path


def main(names: list[str]) -> int:
    """Import the modules and compile all loaded source files; returns their number."""
    warnings.simplefilter("ignore")
    for name in names:
        importlib.import_module(name)
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # torch creates modules without files, for example `_classes.py`.
    sources = sorted(
        file for file in files if file and file.endswith(".py") and Path(file).is_file() and file != __file__
    )
    for source in sources:
        py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return len(sources)


if __name__ == "__main__":
    print(f"{main(sys.argv[1:])} modules compiled")
