"""Names of row kinds and methods. Pure, without numpy: the command line lists them."""

from __future__ import annotations

from enum import StrEnum


class RowKind(StrEnum):
    """The kind of a row, which determines how it is divided into features or segments and how the result is drawn."""

    IMAGE = "image"
    TEXT = "text"
    TABLE = "table"


class Method(StrEnum):
    """Attribution methods. The last four require the model file; the others require only its outputs."""

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
