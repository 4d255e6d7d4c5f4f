"""Scan the models as Triton will read them, and reject those with findings if the spec requires it.

Input: the models that were laid out. Output: the result of each, or a PrepareError that names all findings. `steps`
calls it after `lay_out`: the links and copies there are exactly what Triton reads, and no other code has read the
model's code before.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.api.scan import FindingKind, Scan, ScanFinding, ScanResult
from triton_operator.api.text import escape
from triton_operator.prepare.digest import file_names
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import ResolvedModel
from triton_operator.prepare.sources import VerifiedModel
from triton_operator.scan.folder import scan_files
from triton_operator.triton.prepare_contract.outcome import SHOWN_FINDINGS

_LOGGED = 100


def scan_all(
    models: Sequence[ResolvedModel], opened: Sequence[VerifiedModel], tree: Path, mode: Scan
) -> list[ScanResult]:
    """Scan every model; raises PrepareError in the mode Refuse, and OSError if a file cannot be read."""
    found = [list(scan_files(_files(model, tree))) for model in models]
    for model, findings in zip(models, found, strict=True):
        _log(model.name, findings)
    if mode is Scan.REFUSE:
        _refuse(
            {
                model.name: _refused(each, signed.signed_by)
                for model, signed, each in zip(models, opened, found, strict=True)
            }
        )
    return [ScanResult(len(each), tuple(each[:SHOWN_FINDINGS])) for each in found]


def _files(model: ResolvedModel, tree: Path) -> list[tuple[str, Path]]:
    return [(name, tree / model.name / name) for name in file_names(model)]


def _refused(findings: list[ScanFinding], signer: str) -> list[ScanFinding]:
    """The findings that count: a signature permits code that the scan cannot judge, and no other kind of finding."""
    return [each for each in findings if not (signer and each.kind == FindingKind.UNRESTRICTED_CODE)]


def _refuse(refused: dict[str, list[ScanFinding]]) -> None:
    """Raise one error for all models, of which the first is the one that the status marks as failed."""
    findings = [(model, finding) for model, found in refused.items() for finding in found]
    if not findings:
        return
    first = findings[0][0]
    shown = [
        finding.shown if model == first else f'model "{model}": {finding.shown}'
        for model, finding in _spread(findings)[:SHOWN_FINDINGS]
    ]
    more = f"; and {len(findings) - len(shown)} more in the log of prepare" if len(findings) > len(shown) else ""
    raise PrepareError(
        Reason.MODEL_SCAN_REFUSED,
        first,
        f"{'; '.join(shown)}{more}. Fix the model; sign it, if this is its own Python or native code; or set "
        "spec.verification.scan to Warn",
    )


def _spread(findings: list[tuple[str, ScanFinding]]) -> list[tuple[str, ScanFinding]]:
    """The first finding of each model before the second ones, so that every model is named if there is room."""
    counted: Counter[str] = Counter()
    ranks = []
    for model, _ in findings:
        ranks.append(counted[model])
        counted[model] += 1
    return [finding for _, finding in sorted(zip(ranks, findings, strict=True), key=lambda ranked: ranked[0])]


def _log(model: str, findings: list[ScanFinding]) -> None:
    """All findings for people; the outcome has room for the first ones only."""
    for finding in findings[:_LOGGED]:
        sys.stderr.write(escape(f'model "{model}": scan: {finding.shown} ({finding.kind})') + "\n")
    if len(findings) > _LOGGED:
        sys.stderr.write(f'model "{escape(model)}": scan: {len(findings) - _LOGGED} more findings\n')
