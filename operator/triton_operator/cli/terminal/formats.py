"""Output formats of the commands."""

from __future__ import annotations

from enum import StrEnum


class OutputFormat(StrEnum):
    """How results are printed; `table` is for people, the others are for programs."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ManifestFormat(StrEnum):
    """How Kubernetes objects are printed."""

    YAML = "yaml"
    JSON = "json"
