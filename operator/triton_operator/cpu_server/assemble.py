"""Install Triton, torch and numpy without GPU-only files, for machines without a GPU.

    assemble.py PACKAGES TARGET

Input: unpacked packages (requirements.lock). Output: TARGET, with the layout of NVIDIA's images (/opt/tritonserver) and
the Python packages in TARGET/python. The build of the CPU image runs this file; `local` calls `assemble`.
"""

from __future__ import annotations

import shutil
import site
import sys
from pathlib import Path

from triton_operator.cpu_server.cuda_stubs import make_stubs
from triton_operator.cpu_server.strip_gpu_code import strip_gpu_code

IMAGE_PYTHON = "3.11"
# Headers, static libraries, compiler tools and tests, which are not used at run time.
BUILD_ONLY = ("torch/include/", "torch/share/", "torch/test/", "torch/bin/protoc", "torch/lib/libshm_windows/", "bin/")
BUILD_ONLY_SUFFIXES = (".a", ".pyi", ".h", ".hpp", ".cuh", ".lib")
_WITH_GPU_CODE = ("torch/lib/lib", "torch/_C.")


def is_runtime_file(name: str) -> bool:
    """Whether a package file, named relative to the packages' folder, is used when a model runs."""
    folders = name.split("/")
    if "tests" in folders and folders[0] in {"numpy", "sympy", "networkx", "mpmath"}:
        return False
    return not name.startswith(BUILD_ONLY) and not name.endswith(BUILD_ONLY_SUFFIXES)


def copy_packages(packages: Path, target: Path) -> None:
    """Copy all packages except Triton's own; strip GPU code and symbol tables from torch's libraries."""
    for source in sorted(packages.rglob("*")):
        name = str(source.relative_to(packages))
        if not source.is_file() or name.startswith(("pytriton", "nvidia_pytriton")) or not is_runtime_file(name):
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith(_WITH_GPU_CODE) and ".so" in name:
            strip_gpu_code(source, copy)
        else:
            shutil.copyfile(source, copy)
        copy.chmod(0o755 if ".so" in source.name or "/bin/" in name else 0o644)


def copy_server(packages: Path, target: Path, python: str) -> None:
    """Copy Triton's program, its libraries and the Python backend's stub for version `python`, for example 3.11."""
    server = packages / "pytriton" / "tritonserver"
    backend = target / "backends" / "python"
    libraries = (packages / "nvidia_pytriton.libs").iterdir()
    folders = {
        server / "bin" / "tritonserver": target / "bin",
        server / "backends" / "python" / "libtriton_python.so": backend,
        server / "backends" / "python" / "triton_python_backend_utils.py": backend,
        server / "python_backend_stubs" / python / "triton_python_backend_stub": backend,
        server / "caches" / "local" / "libtritoncache_local.so": target / "caches" / "local",
        **{path: target / "lib" for path in libraries if not path.name.startswith("libpython")},
    }
    for source, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
        (folder / source.name).chmod(0o644 if source.suffix == ".py" else 0o755)


def add_to_search_path(folder: Path) -> None:
    """Add the packages to the search path of the image's Python; Triton's stub process does not read PYTHONPATH."""
    site_packages = Path(site.getsitepackages()[0])
    site_packages.mkdir(parents=True, exist_ok=True)
    (site_packages / "tritonserver.pth").write_text(f"{folder}\n")


def assemble(packages: Path, target: Path, site_packages: Path, python: str) -> None:
    """Copy the server to `target` and all other packages to `site_packages`, for a Python version such as 3.11."""
    copy_server(packages, target, python)
    copy_packages(packages, site_packages)
    make_stubs(packages, site_packages / "torch" / "lib")


def main(packages: Path, target: Path) -> None:
    """Assemble server and packages in `target`, for the image's Python."""
    add_to_search_path(target / "python")
    assemble(packages, target, target / "python", IMAGE_PYTHON)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
