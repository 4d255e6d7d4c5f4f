"""The step of a pass that makes sure that a deployment of TLS mode Managed has its certificate, before its pods exist.

Input: a ModelDeployment, the authority, and the shared Secret and ConfigMap of its namespace. It writes both if
something is missing, due or edited, and nothing otherwise. Deployments without TLS return at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.names import CA_CONFIG_MAP, CA_KEY, SERVING_SECRET
from triton_operator.api.serving_names import serving_names
from triton_operator.api.spec import Metadata, ModelDeployment
from triton_operator.certificates.state import Need, Wanted
from triton_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    NotFoundError,
    TerminatingError,
    UnavailableError,
)
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.protocol import Cluster
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.authorities import AuthorityStore, AuthorityUnusableError
from triton_operator.reconcile.certificate_caches import IssuerContext
from triton_operator.reconcile.certificate_failures import FULL, UnusableObjectError, check_usable, judge_failure
from triton_operator.reconcile.certificate_reports import CertificateReports
from triton_operator.reconcile.failed_writes import FailedWrite, judge_error
from triton_operator.reconcile.managed_deployments import managed_deployment, managed_deployments, needs_certificate
from triton_operator.reconcile.memory import Memory
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.shared_writes import SharedWriter

if TYPE_CHECKING:
    from triton_operator.certificates.rotation import Authorities
    from triton_operator.certificates.serving_data import ServingData

LIMIT = 10.0
"""Seconds for this step, so that a pass has time for its other writes."""
FIRST_LIST = 5.0
"""Seconds for which the first certificate waits until the watches have listed what exists."""
ATTEMPTS = 3
"""After a conflict, or if an object has been deleted meanwhile."""

NEVER = datetime.max.replace(tzinfo=UTC)


class Certification(NamedTuple):
    """What came of the step; `until` is when the deployment needs a pass because of its certificate."""

    failure: FailedWrite | None = None
    until: datetime = NEVER


class CertificateStep:
    """Issues certificates, and writes them through `cluster`."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ObjectCache,
        issuer: IssuerContext,
        clock: Callable[[], datetime],
    ) -> None:
        self._reports = CertificateReports(cluster)
        self._deployments = cache.deployments
        self._caches = issuer.caches
        self._authorities = AuthorityStore(cluster, issuer, clock)
        self._clock = clock
        self._secrets = SharedWriter(cluster, SharedKind.SECRET, SERVING_SECRET, issuer.caches.serving)
        self._bundles = SharedWriter(cluster, SharedKind.CONFIG_MAP, CA_CONFIG_MAP, issuer.caches.bundles)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._written_bundles: dict[str, str] = {}
        self._has_waited = False

    def valid_until(self, deployment: ModelDeployment) -> datetime | None:
        """Until when there is nothing to write, as the caches have it; None if there is something to write."""
        authorities = self._authorities.known()
        if authorities is None:
            return None
        from triton_operator.certificates.plan import judge_pair

        now, namespace, uid = self._clock(), deployment.metadata.namespace, deployment.metadata.uid
        stored, bundle = self._caches.serving.get(namespace), self._caches.bundles.get(namespace)
        if not (stored and bundle and uid in stored.owners and uid in bundle.owners) or stored.is_frozen:
            return None
        judgement = judge_pair(_wanted(deployment), stored.content, authorities, now)
        if judgement.need is not Need.NOTHING or bundle.content != authorities.bundle(now):
            return None
        return min(judgement.until, self._authorities.next_change(authorities, now))

    async def ensure(self, observed: ObservedState, memory: Memory) -> Certification:
        """Issue the certificate if necessary. A failure is part of the result; only TerminatingError is raised."""
        deployment = observed.deployment
        if not needs_certificate(observed):
            memory.certified = False
            return Certification()
        until = self.valid_until(deployment)
        if until is None:
            if failure := await self._try_to_issue(deployment, memory):
                return Certification(self._judge(failure, deployment.metadata))
            until = self.valid_until(deployment) or self._clock()  # now: somebody was faster than the rest of the pass
        memory.certified = True
        return Certification(until=until)

    async def _try_to_issue(self, deployment: ModelDeployment, memory: Memory) -> FailedWrite | None:
        try:
            async with asyncio.timeout(LIMIT):
                await self._wait_for_lists()
                await self._issue(deployment, memory)
        except TerminatingError:
            raise
        except (AuthorityUnusableError, UnusableObjectError) as error:
            return FailedWrite(SharedKind.SECRET, SERVING_SECRET, Reason.CERTIFICATE_INVALID, str(error))
        except ClusterError as error:
            return judge_error(SharedKind.SECRET, SERVING_SECRET, error)
        except TimeoutError:
            late = UnavailableError("timed out before the serving certificate was issued")
            return judge_error(SharedKind.SECRET, SERVING_SECRET, late)
        return None

    async def _issue(self, deployment: ModelDeployment, memory: Memory) -> None:
        namespace = deployment.metadata.namespace
        for attempt in range(1, ATTEMPTS + 1):
            authorities = self._authorities.known() or await self._authorities.current()
            async with self._locks[namespace]:
                try:
                    await self._write_bundle(deployment, authorities)
                    await self._write_certificates(deployment, authorities, memory)
                except (ConflictError, NotFoundError):
                    if attempt == ATTEMPTS:
                        raise
                    await self._secrets.read_again(namespace)
                    await self._bundles.read_again(namespace)
                else:
                    return

    async def _wait_for_lists(self) -> None:
        """Wait once. If the watches lack permission, deployments without TLS must not wait behind those with it."""
        self._caches.needed.set()
        if not self._has_waited:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LIST):
                    await self._caches.synced.wait()
        self._has_waited = True
        if not self._caches.synced.is_set():
            raise UnavailableError(
                "the serving certificates could not be listed; the operator's log contains the cause"
            )

    async def _write_bundle(self, deployment: ModelDeployment, authorities: Authorities) -> None:
        """The ConfigMap with the authorities that clients trust, written before the certificates that they verify."""
        metadata, bundle = deployment.metadata, authorities.bundle(self._clock())
        stored = self._caches.bundles.get(metadata.namespace)
        is_right = stored is not None and stored.content == bundle
        check_usable(SharedKind.CONFIG_MAP, CA_CONFIG_MAP, stored, changes=not is_right)
        edit = None if is_right or not stored else await self._reports.find_edit_of_bundle(metadata.namespace)
        written = self._written_bundles.get(metadata.namespace)
        # After a restart, only another field manager distinguishes an edit from an older bundle of the operator's.
        is_edited = not is_right and (written == bundle if written else bool(edit and edit.managers))
        if not (is_right and stored and metadata.uid in stored.owners):
            known = stored.owners if stored else frozenset()
            owners = {each.name: each.uid for each in self._all_wanted(deployment) if each.uid not in known}
            await self._bundles.write(metadata.namespace, owners, {CA_KEY: bundle})
        if is_edited:
            await self._reports.bundle(metadata, edit, self._clock())
        self._written_bundles[metadata.namespace] = bundle

    async def _write_certificates(self, deployment: ModelDeployment, authorities: Authorities, memory: Memory) -> None:
        """The certificate of this deployment, and with it others of its namespace that are due."""
        from triton_operator.certificates.plan import issue_all, judge_pair, plan_certificates

        metadata, now = deployment.metadata, self._clock()
        stored = self._caches.serving.get(metadata.namespace)
        check_usable(SharedKind.SECRET, SERVING_SECRET, stored, changes=True)
        data = stored.content if stored else None
        judgement = judge_pair(_wanted(deployment), data, authorities, now)
        if judgement.need is Need.NOTHING and stored and metadata.uid in stored.owners:
            return  # Written in the pass of another deployment.
        obsolete = self._obsolete(metadata.namespace, data)
        plan = plan_certificates(self._all_wanted(deployment), data, authorities, now, obsolete)
        if plan.is_full:
            raise UnusableObjectError(FULL)
        owners = {change.wanted.name: change.wanted.uid for change in plan.changes} | {metadata.name: metadata.uid}
        edits = await self._reports.find_edits(plan, metadata, existed=memory.certified)
        await self._secrets.write(metadata.namespace, owners, issue_all(plan, authorities.signing(now), now))
        await self._reports.certificates(plan, edits, metadata.namespace, now)
        if plan.obsolete and not plan.changes:  # now there is room
            await self._write_certificates(deployment, authorities, memory)

    def _obsolete(self, namespace: str, data: ServingData | None) -> tuple[str, ...]:
        """The stored certificates of deployments that need none any more, by name."""
        names = sorted(data.pairs) if data else ()
        return tuple(name for name in names if not managed_deployment(self._deployments, (namespace, name)))

    def _all_wanted(self, first: ModelDeployment) -> Iterator[Wanted]:
        """The certificate whose turn it is, and all others of the namespace."""
        yield _wanted(first)
        for deployment in managed_deployments(self._deployments, first.metadata.namespace):
            if deployment.key != first.key:
                yield _wanted(deployment)

    def _judge(self, failure: FailedWrite, deployment: Metadata) -> FailedWrite:
        stored = self._caches.serving.get(deployment.namespace)
        facts = stored.content.pairs.get(deployment.name) if stored else None
        return judge_failure(failure, facts, self._clock())


def _wanted(deployment: ModelDeployment) -> Wanted:
    metadata = deployment.metadata
    names = serving_names(metadata.namespace, metadata.name, deployment.spec.service.hostnames)
    return Wanted(metadata.name, metadata.uid, names)
