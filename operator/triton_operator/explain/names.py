"""Kinds of rows and methods, by name. Pure, and light: the command line lists them before it needs numpy."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a row is: decides what is taken away from it at a time, and how the result is drawn."""

    PICTURE = "picture"
    TEXT = "text"
    COLUMNS = "columns"


class Method(StrEnum):
    """How attributions are found. The last four need the model's file, the others only its answers."""

    AUTO = "auto"
    KERNEL_SHAP = "kernel-shap"
    OCCLUSION = "occlusion"
    INTEGRATED_GRADIENTS = "integrated-gradients"
    SALIENCY = "saliency"
    SMOOTH_GRAD = "smooth-grad"
    EMBEDDING_GRADIENTS = "embedding-gradients"


GRADIENTS = frozenset(
    {Method.INTEGRATED_GRADIENTS, Method.SALIENCY, Method.SMOOTH_GRAD, Method.EMBEDDING_GRADIENTS},
)
