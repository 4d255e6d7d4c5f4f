"""Bring the children of one deployment to their desired state, and report what prevents that.

As long as nothing that a plan depends on has changed since the last pass, this is one comparison: nothing is built.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.cluster.errors import ClusterError, DeniedError
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.adoption import Adoption
from triton_operator.reconcile.desired_state import DesiredState, derive_desired_state
from triton_operator.reconcile.execute import Executor
from triton_operator.reconcile.failed_writes import Blocked, FailedWrite, outage_of, summarize
from triton_operator.reconcile.history import current_revision
from triton_operator.reconcile.memory import Memory, PlanInput, plan_input
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState, observe
from triton_operator.reconcile.plan import Plan, is_as_desired, make_plan, recognize
from triton_operator.reconcile.policy_inputs import PolicyInputs, describe_unread
from triton_operator.reconcile.policy_notifier import PolicyNotifier
from triton_operator.reconcile.restored_edits import RestoredEdits
from triton_operator.resources.proxy_inputs import ProxyInputs
from triton_operator.resources.revision import RevisionSummary
from triton_operator.resources.settings import Settings


class ChildrenResult(NamedTuple):
    """What came of one pass over the children.

    `blocked` is why they are not as desired, `revision` what the pods run. `converged` is the input for which there is
    nothing to write any more, None otherwise. `outage` is raised after the status is written; `is_transient`: the next
    attempt is likely to succeed.
    """

    blocked: Blocked | None
    revision: RevisionSummary | None
    converged: PlanInput | None = None
    outage: ClusterError | None = None
    is_transient: bool = False


class ChildReconciler:
    """Writes children through `cluster`, and takes the responses into the cache."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, settings: Settings) -> None:
        self._cluster = cluster
        self._cache = cache
        self._settings = settings
        self._inputs = PolicyInputs(cluster, cache.issuer)
        self._notifier = PolicyNotifier(cluster)
        self._edits = RestoredEdits(cluster)
        self._adoption = Adoption(cluster)

    async def reconcile(
        self, key: Key, observed: ObservedState, memory: Memory, failed: FailedWrite | None = None
    ) -> ChildrenResult:
        """One pass. Spec errors and outages are part of the result; only TerminatingError is raised.

        `failed` is an earlier write of the pass, without which pods may not be able to start.
        """
        try:
            proxy = await self._inputs.read(observed.deployment)
        except ClusterError as error:
            return _unread(observed, error)
        converged = memory.converged
        current_input = plan_input(observed, proxy, converged.revision if converged else None)
        if converged and converged.plan_input == current_input and not failed:
            return ChildrenResult(None, converged.revision, converged=current_input)
        desired = derive_desired_state(observed, current_input.replicas, self._settings, proxy)
        memory.is_outdated = desired.is_outdated
        recognized = recognize(desired.manifests, observed.children, memory.applied)
        memory.applied.update(recognized)
        plan = make_plan(desired, observed, memory.applied, recognized)
        plan, refused = await self._adoption.plan(plan, observed, memory)
        restored = await self._edits.find(plan, memory.applied, observed)
        executor = Executor(self._cluster, self._cache, memory, key, observed.deployment.metadata.uid)
        failures = await executor.execute(plan, [*([failed] if failed else []), *refused])
        await self._notifier.notify(plan, failures, observed.serving_pods)
        await self._edits.report(restored, failures, observed)
        return ChildrenResult(
            _summarize(desired, failures, key),
            desired.revision,
            converged=None
            if failures or desired.spec_error
            else _converged(desired, self._observe_again(key, observed, plan, memory), memory, proxy),
            outage=outage_of(failures),
            # An invalid spec is reported at once, whatever else fails.
            is_transient=not desired.spec_error and all(failure.is_transient for failure in failures),
        )

    def _observe_again(self, key: Key, before: ObservedState, plan: Plan, memory: Memory) -> ObservedState:
        """The state after the writes of the plan; most passes have none, and then it is that of before."""
        if not (plan.writes or plan.pruning):
            return before
        snapshot = self._cache.snapshot(key, before.now)
        after = observe(snapshot, before.deployment, memory.applied_uids(), before.now, before.fetching)
        return after._replace(
            other_autoscalers=before.other_autoscalers,
            room=before.room,
            has_turn=before.has_turn,
            rollback=before.rollback,
            canary=before.canary,
        )


def _converged(desired: DesiredState, after: ObservedState, memory: Memory, proxy: ProxyInputs) -> PlanInput | None:
    """The input after the operator's writes, if the API server's responses show the desired state."""
    return plan_input(after, proxy, desired.revision) if is_as_desired(desired, after, memory.applied) else None


def _unread(observed: ObservedState, error: ClusterError) -> ChildrenResult:
    """The result if nothing is written. If permission is denied, an early retry by the work queue cannot help."""
    current = current_revision(observed)
    outage = None if isinstance(error, DeniedError) else error
    return ChildrenResult(describe_unread(error), current.summary if current else None, outage=outage)


def _summarize(desired: DesiredState, failures: list[FailedWrite], key: Key) -> Blocked | None:
    """Failed writes in one sentence, after what is wrong with the spec."""
    failed = summarize(failures, key[0])
    spec_error = desired.spec_error
    if spec_error and failed:
        return failed._replace(
            reason=spec_error.reason,
            message=join(spec_error.message, failed.message),
            failed=(failed.failed or frozenset()) | (spec_error.failed or frozenset()),
        )
    return spec_error or failed
