"""Output formats of the commands."""

from __future__ import annotations

from enum import StrEnum


class OutputFormat(StrEnum):
    """How results are printed; `table` is for people, the others are for programs."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ReportFormat(StrEnum):
    """How a report is printed; `html` is one self-contained page."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


class ManifestFormat(StrEnum):
    """How Kubernetes objects are printed."""

    YAML = "yaml"
    JSON = "json"
