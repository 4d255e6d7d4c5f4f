"""Names in Triton's configurations and model repositories that the operator, `prepare` and `lint` depend on.

They match `constants.h` and `model_config_utils.cc` of triton-inference-server/core.
"""

from __future__ import annotations

CONFIG_NAME = "config.pbtxt"

ENSEMBLE = "ensemble"
"""Platform of a model that combines other models and has no file of its own."""

AOT_INDUCTOR_PLATFORM = "torch_aoti"
"""Platform of a compiled file since Triton 26.03; its backend is that of TorchScript."""

AOT_INDUCTOR_BACKEND = "aotinductor"
"""Backend that serves compiled files in this project's CPU image, whose Triton predates the platform (`cpu_server`)."""

SIDE_FOLDERS = frozenset({"warmup", "initial_state", "configs"})
"""Folders next to the versions that Triton reads for other purposes."""
