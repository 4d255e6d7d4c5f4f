"""The revisions that serve or are about to serve: the current one, and older ones that still have pods. Pure."""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.history import past_revisions
from triton_operator.reconcile.pods import is_over
from triton_operator.resources.pod_template.pod_facts import OWN_CONTAINERS
from triton_operator.resources.revision import RevisionSummary


class RevisionsInUse(NamedTuple):
    """The revisions, the current one first; `foreign_pods` belong to none of the deployment's revisions.

    Anyone who can create pods can give one the labels with which the Service selects pods.
    """

    revisions: tuple[RevisionSummary, ...]
    foreign_pods: tuple[str, ...]

    @property
    def added_containers(self) -> tuple[str, ...]:
        """The names of the containers that `spec.podTemplate` adds, in any of the revisions."""
        names = (container.name for revision in self.revisions for container in revision.containers)
        return tuple(dict.fromkeys(name for name in names if name not in OWN_CONTAINERS))


def revisions_in_use(assessment: Assessment) -> RevisionsInUse:
    """Return the revisions in use; a pod that is being deleted does not count."""
    known = {past.summary.template_hash: past.summary for past in past_revisions(assessment.observed)}
    current = assessment.revision
    if current:
        known[current.template_hash] = current
    pods = [pod for pod in assessment.observed.serving_pods if not (pod.deleting or is_over(pod))]
    hashes = dict.fromkeys([*([current.template_hash] if current else []), *(pod.revision for pod in pods)])
    return RevisionsInUse(
        tuple(known[each] for each in hashes if each in known),
        tuple(pod.name for pod in pods if pod.revision not in known),
    )
