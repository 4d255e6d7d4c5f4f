"""Kubernetes operator that turns a ModelDeployment object into NVIDIA Triton inference pods."""

__version__ = "0.1.0"
