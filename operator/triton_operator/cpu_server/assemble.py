"""Lay out Triton, torch and numpy for machines without a GPU, without what only GPUs need.

    assemble.py PACKAGES TARGET

Input: unpacked packages (requirements.lock). Output: TARGET as in NVIDIA's images (/opt/tritonserver), with the Python
packages in TARGET/python. Run so inside the CPU image while it is built; `local` calls `lay_out`.
"""

from __future__ import annotations

import shutil
import site
import sys
from pathlib import Path

from triton_operator.cpu_server.cuda_stubs import make_stubs
from triton_operator.cpu_server.strip_gpu_code import strip_gpu_code

IMAGE_PYTHON = "3.11"
# Headers, static libraries, compilers' tools and tests: nothing of it runs with a model.
NOT_RUN = ("torch/include/", "torch/share/", "torch/test/", "torch/bin/protoc", "torch/lib/libshm_windows/", "bin/")
NOT_RUN_SUFFIXES = (".a", ".pyi", ".h", ".hpp", ".cuh", ".lib")
_HOLLOWED = ("torch/lib/lib", "torch/_C.")


def runs(name: str) -> bool:
    """Whether a file of the packages, named relative to them, is used when a model runs."""
    folders = name.split("/")
    if "tests" in folders and folders[0] in {"numpy", "sympy", "networkx", "mpmath"}:
        return False
    return not name.startswith(NOT_RUN) and not name.endswith(NOT_RUN_SUFFIXES)


def copy_packages(packages: Path, target: Path) -> None:
    """Copy all packages but Triton's own; GPU code and symbol tables of torch's libraries stay behind."""
    for source in sorted(packages.rglob("*")):
        name = str(source.relative_to(packages))
        if not source.is_file() or name.startswith(("pytriton", "nvidia_pytriton")) or not runs(name):
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith(_HOLLOWED) and ".so" in name:
            strip_gpu_code(source, place)
        else:
            shutil.copyfile(source, place)
        place.chmod(0o755 if ".so" in source.name or "/bin/" in name else 0o644)


def copy_server(packages: Path, target: Path, python: str) -> None:
    """Copy Triton's program, its libraries and the backend for `python` (as 3.11); those of other Pythons stay."""
    server = packages / "pytriton" / "tritonserver"
    backend = target / "backends" / "python"
    libraries = (packages / "nvidia_pytriton.libs").iterdir()
    wanted = {
        server / "bin" / "tritonserver": target / "bin",
        server / "backends" / "python" / "libtriton_python.so": backend,
        server / "backends" / "python" / "triton_python_backend_utils.py": backend,
        server / "python_backend_stubs" / python / "triton_python_backend_stub": backend,
        server / "caches" / "local" / "libtritoncache_local.so": target / "caches" / "local",
        **{path: target / "lib" for path in libraries if not path.name.startswith("libpython")},
    }
    for source, folder in wanted.items():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
        (folder / source.name).chmod(0o644 if source.suffix == ".py" else 0o755)


def make_known(folder: Path) -> None:
    """Let every Python of the image find the packages; Triton's helper process does not read PYTHONPATH."""
    known = Path(site.getsitepackages()[0])
    known.mkdir(parents=True, exist_ok=True)
    (known / "tritonserver.pth").write_text(f"{folder}\n")


def lay_out(packages: Path, target: Path, site_packages: Path, python: str) -> None:
    """Lay out the server below `target` and all other packages in `site_packages`, for a Python such as 3.11."""
    copy_server(packages, target, python)
    copy_packages(packages, site_packages)
    make_stubs(packages, site_packages / "torch" / "lib")


def main(packages: Path, target: Path) -> None:
    """Lay out everything below `target`, for the image's Python."""
    make_known(target / "python")
    lay_out(packages, target, target / "python", IMAGE_PYTHON)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
