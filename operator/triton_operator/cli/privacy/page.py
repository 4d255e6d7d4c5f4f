"""The HTML form of a report: one self-contained page.

Pure. Input: a `PrivacyReport`. Output: HTML without scripts, links and external resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from triton_operator.api.status import ControlState, Truth
from triton_operator.cli.privacy.markup import Markup, document, element, joined
from triton_operator.cli.privacy.report import ControlEvidence, EvidenceItem, ModelEvidence, PrivacyReport
from triton_operator.cli.privacy.style import STYLE

_VERDICTS = {
    Truth.TRUE: ("good", "Enforced"),
    Truth.FALSE: ("bad", "Not enforced"),
    Truth.UNKNOWN: ("open", "Unknown"),
}
_STATES = {
    ControlState.ENFORCED: ("good", "Enforced"),
    ControlState.NOT_ENFORCED: ("bad", "Not enforced"),
    ControlState.UNKNOWN: ("open", "Unknown"),
}


def render_page(report: PrivacyReport) -> str:
    """The whole page."""
    subject = report.deployment
    title = f"Privacy report: {subject.namespace}/{subject.name}, {report.time}"
    return document(title, STYLE, joined(*_sections(report)))


def _sections(report: PrivacyReport) -> Iterable[Markup]:
    yield element("h1", f"Privacy report: {report.deployment.namespace}/{report.deployment.name}")
    yield _facts(_heading_facts(report))
    yield _verdict(report)
    yield _section("Controls", _controls(report.controls) if report.controls else _paragraph("None."))
    shown = [control for control in report.controls if control.evidence]
    yield _section("Evidence", *(part for control in shown for part in _evidence(control.name, control.evidence)))
    yield _section("Models", _models(report))
    yield _section("Scan findings", *_findings(report.models))
    for setting in report.settings:
        yield _section(f"{setting.name} of models", _paragraph(setting.value), *_blocks(setting.evidence))
    yield _section("Not covered", _listed((limit.title, limit.text) for limit in report.not_covered))
    if report.not_read:
        yield _section("Could not be read", _listed((each.what, each.why) for each in report.not_read))


def _heading_facts(report: PrivacyReport) -> dict[str, str]:
    subject, cluster = report.deployment, report.cluster
    return {
        "Date": report.time,
        "Cluster": cluster.server,
        "Kubernetes": cluster.version or "unknown",
        "Namespace": subject.namespace,
        "ModelDeployment": subject.name,
        "UID": subject.uid,
        "Generation": f"{subject.generation}, observed by the operator: {subject.observed_generation}",
        "Profile": subject.profile,
        "Written by": f"{report.program} ({report.schema})",
    }


def _verdict(report: PrivacyReport) -> Markup:
    verdict = report.verdict
    look, word = _VERDICTS[verdict.status]
    since = f" since {verdict.since}" if verdict.since else ""
    return element("p", element("span", word, class_=look), f"{since} ({verdict.reason}): {verdict.message}")


def _controls(controls: Sequence[ControlEvidence]) -> Markup:
    rows = []
    for control in controls:
        look, word = _STATES[control.state]
        required = "yes" if control.required else "no"
        rows.append((control.name, element("span", word, class_=look), required, control.since, control.message))
    return _table(("Control", "State", "Required", "Since", "Message"), rows)


def _evidence(control: str, evidence: Sequence[EvidenceItem]) -> Iterable[Markup]:
    yield element("h3", control)
    yield from _blocks(evidence)


def _models(report: PrivacyReport) -> Markup:
    rows = [
        (
            model.name,
            model.state,
            ", ".join(model.versions),
            model.digest,
            model.signed_by or "no named key",
            model.repository,
            model.scan,
            model.message,
        )
        for model in report.models
    ]
    heads = ("Model", "State", "Versions", "Digest of the files", "Signed by", "Repository", "Scan", "Message")
    return _table(heads, rows)


def _findings(models: Sequence[ModelEvidence]) -> Iterable[Markup]:
    """The findings that are reported, and where the others are."""
    rows = [(model.name, each.kind, each.file, each.entry, each.message) for model in models for each in model.findings]
    if rows:
        yield _table(("Model", "Kind", "File", "Entry", "Finding"), rows)
    for model in models:
        if model.finding_count > len(model.findings):
            yield _paragraph(
                f"{model.name}: {len(model.findings)} of {model.scan} are reported; the log of prepare has more."
            )


def _section(title: str, *parts: Markup) -> Markup:
    return element("section", element("h2", title), *(parts or (_paragraph("None."),)))


def _blocks(evidence: Sequence[EvidenceItem]) -> Iterable[Markup]:
    for each in evidence:
        yield element("p", each.subject, class_="subject")
        yield _facts(each.facts)


def _facts(facts: Mapping[str, str]) -> Markup:
    return element(
        "dl", *(part for name, value in facts.items() for part in (element("dt", name), element("dd", value)))
    )


def _listed(entries: Iterable[tuple[str, str]]) -> Markup:
    return element("ul", *(element("li", element("strong", title), f" {text}") for title, text in entries))


def _paragraph(text: str) -> Markup:
    return element("p", text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[Markup | str]]) -> Markup:
    head = element("thead", element("tr", *(element("th", each, scope="col") for each in heads)))
    body = (
        element("tr", element("th", first, scope="row"), *(element("td", each) for each in others))
        for first, *others in rows
    )
    return element("table", head, element("tbody", *body))
