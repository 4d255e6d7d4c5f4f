"""The extra `sdk` is sufficient for a client: without packages of the command line, training or the operator."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.inference_server import http_server
from tests.paths import ROOT

EXTRA = "sdk"

CALLER = """
import importlib, pkgutil, sys

class Uninstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Uninstalled())
import numpy as np
from triton_operator import sdk

for module in pkgutil.iter_modules(sdk.__path__, "triton_operator.sdk."):
    importlib.import_module(module.name)
with sdk.Client("digits", url=sys.argv[1]) as client:
    print(client.infer("echo", {"x": np.ones((1, 1), np.float32)}).outputs)
"""


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def _installed(requirements: list[str]) -> set[str]:
    """Names of the distributions that pip installs for these requirements."""
    modules: dict[str, set[str]] = {}
    left = [Requirement(each) for each in requirements]
    while left:
        requirement = left.pop()
        name, extras = canonicalize_name(requirement.name), {"", *requirement.extras}
        if extras <= modules.get(name, set()):
            continue
        modules.setdefault(name, set()).update(extras)
        needs = [Requirement(each) for each in metadata.requires(name) or []]
        left += [each for each in needs if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras)]
    return set(modules)


def test_a_client_works_with_the_extra_alone() -> None:
    """Every module of the SDK can be imported, and a request succeeds."""
    extras = _project()
    kept = _installed([*extras[""], *extras[EXTRA]])
    assert {"msgspec", "tritonclient", "aiohttp", "grpcio", "kubernetes", "numpy"} <= kept
    hidden = [
        module
        for module, distributions in metadata.packages_distributions().items()
        if not kept & {canonicalize_name(name) for name in distributions} and module != "triton_operator"
    ]
    assert {"typer", "rich", "PIL", "kopf", "pytest"} <= set(hidden)
    with http_server() as url:
        done = subprocess.run([sys.executable, "-c", CALLER, url, *hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'x': array([[1.]], dtype=float32)}\n"


def test_the_command_line_needs_the_client() -> None:
    """Its extra includes the other."""
    assert "triton-operator[sdk]" in _project()["cli"]
