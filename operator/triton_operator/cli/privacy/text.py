"""The text form of a report: tables, in color only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from triton_operator.api.status import Truth
from triton_operator.cli.privacy.report import EvidenceItem, PrivacyReport
from triton_operator.cli.terminal.output import plain_text, table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

_WORDS = {
    Truth.TRUE: ("Enforced", "bold green"),
    Truth.FALSE: ("Not enforced", "bold red"),
    Truth.UNKNOWN: ("Unknown", "bold yellow"),
}

_NOTHING = EvidenceItem("", {})


def render_text(report: PrivacyReport) -> Group:
    """The whole report."""
    from rich.console import Group
    from rich.text import Text

    first, *others = _sections(report)
    return Group(first, *(part for section in others for part in (Text(), section)))


def _sections(report: PrivacyReport) -> Iterator[RenderableType]:
    yield _head(report)
    if report.controls:
        controls = [(c.name, c.state, "yes" if c.required else "no", c.since, c.message) for c in report.controls]
        yield table(["CONTROL", "STATE", "REQUIRED", "SINCE", "MESSAGE"], controls)
        yield table(
            ["CONTROL", "EVIDENCE", "FACTS"], [(c.name, *_cells(p)) for c in report.controls for p in c.evidence]
        )
    models = [
        (m.name, m.state, ", ".join(m.versions), m.digest, m.signed_by, m.repository, m.scan) for m in report.models
    ]
    yield table(["MODEL", "STATE", "VERSIONS", "DIGEST", "SIGNED BY", "REPOSITORY", "SCAN"], models)
    findings = [(m.name, f.kind, f.file, f.entry, f.message) for m in report.models for f in m.findings]
    if findings:
        yield table(["MODEL", "KIND", "FILE", "ENTRY", "FINDING"], findings)
    settings = [(s.name, s.value, *cells) for s in report.settings for cells in map(_cells, s.evidence or (_NOTHING,))]
    yield table(["SETTING", "VALUE", "EVIDENCE", "FACTS"], settings)
    yield table(["NOT COVERED", "DETAILS"], [(limit.title, limit.text) for limit in report.not_covered])
    if report.not_read:
        yield table(["COULD NOT BE READ", "REASON"], [(each.what, each.why) for each in report.not_read])


def _head(report: PrivacyReport) -> Group:
    from rich.console import Group
    from rich.text import Text

    subject, verdict = report.deployment, report.verdict
    name = f"{subject.namespace}/{subject.name}  "
    first = Text.assemble(plain_text(name), _WORDS[verdict.status], plain_text(f"  {verdict.reason}"))
    since = f" (since {verdict.since})" if verdict.since else ""
    return Group(
        first,
        plain_text(f"{verdict.message}{since}"),
        plain_text(f"UID {subject.uid}, generation {subject.generation}, profile {subject.profile}"),
        plain_text(f"Cluster {report.cluster.server} {report.cluster.version}, read at {report.time}"),
    )


def _cells(evidence: EvidenceItem) -> tuple[str, str]:
    return evidence.subject, ", ".join(f"{name}: {value}" for name, value in evidence.facts.items())
