"""The outcome of `prepare` as one JSON line, its termination message.

`prepare` encodes it, and `reconcile` reads it from the pod's status. The kubelet keeps 4096 bytes of a message and 12
KiB over all containers of a pod (Kubernetes documentation, "Determine the Reason for Pod Failure"), but only 2048 bytes
of a log, so messages are limited to 2048 bytes. The content is untrusted: reading never raises, and control characters
are escaped in both directions.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.scan import ScanFinding, ScanResult
from triton_operator.api.struct import Struct
from triton_operator.api.text import escape

LIMIT = 2048
"""Maximum size of an encoded outcome in bytes."""

MISTAKE = 78
"""Exit code of `prepare` for errors that a retry cannot fix: EX_CONFIG of sysexits.h."""

ELLIPSIS = "…"
_MODEL_LIMIT, _REASON_LIMIT, _SIGNER_LIMIT = 100, 60, 63

SHOWN_FINDINGS = 8
"""Maximum number of findings of the scan for each model; their total is always part of the outcome."""

_TEXT_LIMIT, _MOST_FINDINGS = 160, 1_000_000

CONTENT_LENGTH = 12
"""Characters of PreparedModel.content."""


class PreparedModel(Struct, frozen=True):
    """One model that is laid out: its versions in ascending order, and the digest of its files or "".

    `content` is a short hash of everything that Triton reads of the model, including its configuration: pods with
    different values serve different models. It is "" in the outcome of an older release. `signed_by` is the name of
    the key that signed the model, "" without a signature or if signatures are not checked. `scan` is the result of the
    scan, None in the outcome of an older release.
    """

    name: str
    versions: tuple[str, ...] = ()
    digest: str = ""
    content: str = ""
    signed_by: str = ""
    scan: ScanResult | None = None


class Prepared(Struct, frozen=True, tag_field="outcome", tag="Prepared"):
    """Every model was found, checked and laid out."""

    models: tuple[PreparedModel, ...]


class PrepareFailed(Struct, frozen=True, tag_field="outcome", tag="Failed"):
    """Preparing failed: `reason` is a condition reason, `model` is "" if no single model is affected."""

    reason: str
    model: str
    message: str


def encode(outcome: Prepared | PrepareFailed) -> bytes:
    """The outcome as one JSON line of at most LIMIT bytes.

    Content that does not fit is dropped in this order: findings of the scan, digests, older versions of a model, and
    then whole models from the end; for a failure, the end of its message.
    """
    if isinstance(outcome, PrepareFailed):
        return _encode_failed(outcome)
    return _encode_prepared(outcome)


def read_prepare(text: str) -> Prepared | PrepareFailed | None:
    """The outcome in the last line that contains one, None if there is none. Other lines are ignored."""
    for line in reversed(text.split("\n")):
        try:
            return escaped(msgspec.json.decode(line, type=Prepared | PrepareFailed))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
    return None


def escaped(outcome: Prepared | PrepareFailed) -> Prepared | PrepareFailed:
    """The outcome with escaped control characters."""
    if isinstance(outcome, Prepared):
        return Prepared(tuple(_printable(model) for model in outcome.models))
    return PrepareFailed(escape(outcome.reason), escape(outcome.model), escape(outcome.message))


def _encode_prepared(outcome: Prepared) -> bytes:
    models = tuple(_printable(model) for model in outcome.models)
    without_findings = _with_findings(models, 0)
    without_digests = tuple(msgspec.structs.replace(model, digest="") for model in without_findings)
    fewer_findings = (_with_findings(models, limit) for limit in (SHOWN_FINDINGS, 3, 1))
    for candidate in (*fewer_findings, without_findings, without_digests, *_ever_fewer_versions(without_digests)):
        line = _line(Prepared(candidate))
        if len(line) <= LIMIT:
            return line
    return _encode_some(without_digests)


def _printable(model: PreparedModel) -> PreparedModel:
    return PreparedModel(
        _cut(model.name, _MODEL_LIMIT),
        tuple(map(escape, model.versions)),
        escape(model.digest),
        _cut(model.content, CONTENT_LENGTH),
        _cut(model.signed_by, _SIGNER_LIMIT),
        _printable_scan(model.scan) if model.scan else None,
    )


def _printable_scan(scan: ScanResult) -> ScanResult:
    findings = (
        ScanFinding(
            _cut(each.kind, _REASON_LIMIT), *(_cut(text, _TEXT_LIMIT) for text in (each.file, each.entry, each.message))
        )
        for each in scan.findings[:SHOWN_FINDINGS]
    )
    return ScanResult(min(max(scan.total, 0), _MOST_FINDINGS), tuple(findings))


def _with_findings(models: tuple[PreparedModel, ...], limit: int) -> tuple[PreparedModel, ...]:
    """The models with at most `limit` findings each; their total stays."""
    return tuple(
        msgspec.structs.replace(model, scan=ScanResult(model.scan.total, model.scan.findings[:limit]))
        if model.scan
        else model
        for model in models
    )


def _ever_fewer_versions(models: tuple[PreparedModel, ...]) -> list[tuple[PreparedModel, ...]]:
    """The newest 64, 32, ... 1 versions of each model."""
    limits = (64, 32, 16, 8, 4, 2, 1)
    return [
        tuple(msgspec.structs.replace(model, versions=model.versions[-limit:]) for model in models) for limit in limits
    ]


def _encode_some(models: tuple[PreparedModel, ...]) -> bytes:
    """As many models as fit, with their names only."""
    names = tuple(PreparedModel(model.name) for model in models)
    while len(line := _line(Prepared(names))) > LIMIT:
        names = names[:-1]
    return line


def _encode_failed(outcome: PrepareFailed) -> bytes:
    reason, model = _cut(outcome.reason, _REASON_LIMIT), _cut(outcome.model, _MODEL_LIMIT)
    message = escape(outcome.message)
    whole = _line(PrepareFailed(reason, model, message))
    if len(whole) <= LIMIT:
        return whole
    fits, too_long = 0, min(len(message), LIMIT)
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if len(_line(PrepareFailed(reason, model, message[:middle] + ELLIPSIS))) <= LIMIT:
            fits = middle
        else:
            too_long = middle
    return _line(PrepareFailed(reason, model, message[:fits] + ELLIPSIS))


def _line(outcome: Prepared | PrepareFailed) -> bytes:
    return msgspec.json.encode(outcome)


def _cut(text: str, limit: int) -> str:
    text = escape(text)
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS
