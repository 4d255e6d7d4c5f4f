"""Facts about the sources of models, as evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.model import Model
from triton_operator.api.spec import Spec
from triton_operator.api.status import Status
from triton_operator.api.url import shown_url
from triton_operator.cli.privacy.report import EvidenceItem


def describe_sources(spec: Spec, status: Status) -> Iterator[EvidenceItem]:
    """Each model with its source and its signer, and the addresses from which the cache is filled."""
    for model in spec.models:
        signers = ", ".join(each.signed_by for each in status.models if each.name == model.name and each.signed_by)
        yield EvidenceItem(
            f"model {model.name}", {"source": repository_of(model, spec), "signedBy": signers or "no named key"}
        )
    if spec.cache:
        yield EvidenceItem("spec.cache.egress", {"cidrs": ", ".join(spec.cache.egress.cidrs) or "any address"})


def repository_of(model: Model, spec: Spec) -> str:
    """Where the files come from, in one line."""
    source = model.model_repository or spec.model_repository
    if source is None:
        return ""
    if source.image:
        return f"image {source.image.reference}"
    if source.pvc:
        return f"claim {source.pvc.claim_name}"
    if source.s3:
        return f"s3://{source.s3.bucket}/{source.s3.prefix}".rstrip("/")
    return shown_url(source.http.url) if source.http else ""
