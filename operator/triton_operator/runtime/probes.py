"""What is wrong, and how much of everything there is: the checks of /healthz and /readyz, the gauges of /metrics.

Reads the parts of the process, changes none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.lease import Elector
from triton_operator.cluster.observed import Key
from triton_operator.runtime import framework
from triton_operator.runtime.health import Check
from triton_operator.runtime.metrics import Metrics
from triton_operator.runtime.resync import INTERVAL, Resync
from triton_operator.runtime.watch_progress import WatchProgress
from triton_operator.runtime.watches import AnyReflector
from triton_operator.runtime.work_queue import WorkQueue

STALE = 180.0
"""Seconds without any sign of life from a reflector: its silence, time-out and longest pause together are less."""
STUCK = 900.0
"""Seconds that a key may wait while we lead."""
GRACE = 60.0
"""Seconds that Kopf gets to start its watcher."""


class Probes:
    """The state of one process, for probes and scrapes."""

    def __init__(
        self,
        reflectors: Sequence[AnyReflector],
        resync: Resync,
        queue: WorkQueue[Key],
        elector: Elector,
        deployments: DeploymentCache,
        progress: WatchProgress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reflectors = reflectors
        self._resync = resync
        self._queue = queue
        self._elector = elector
        self._deployments = deployments
        self._progress = progress
        self._clock = clock
        self._watcher_due = float("inf")
        self._watcher_seen = False

    def watcher_expected(self) -> None:
        """Kopf was started, or started again: within GRACE seconds it must watch."""
        self._watcher_seen = False
        self._watcher_due = self._clock() + GRACE

    def watcher_excused(self) -> None:
        """Kopf has ended and is started again later, at the latest when ModelDeployments are defined again."""
        self._watcher_seen = False
        self._watcher_due = float("inf")

    def alive(self) -> list[Check]:
        """Checks of /healthz."""
        return [self._watcher_dead, self._watcher_stuck, self._reflector_stuck, self._resync_stuck, self._queue_stuck]

    def ready(self) -> list[Check]:
        """Checks of /readyz."""
        return [self._not_synced]

    def publish(self, metrics: Metrics) -> None:
        """Connect the gauges."""
        metrics.gauge("queue_depth", "Deployments that wait for a worker.", lambda: len(self._queue))
        metrics.gauge("queue_busy", "Deployments that workers hold.", lambda: self._queue.busy)
        metrics.gauge("queue_oldest_seconds", "How long the longest waiting one waits.", self._queue.oldest_age)
        metrics.gauge("leader", "1 while this process leads.", lambda: float(self._elector.may_write()))
        metrics.gauge("model_deployments", "ModelDeployments that exist.", lambda: len(self._deployments.keys()))
        metrics.gauges(
            "watch_idle_seconds",
            "Seconds since the last event or bookmark.",
            "kind",
            {reflector.kind: self._idle(reflector) for reflector in self._reflectors},
        )

    def _idle(self, reflector: AnyReflector) -> Callable[[], float]:
        return lambda: self._clock() - reflector.last_event

    def _watcher_dead(self) -> str | None:
        """Once seen, the watcher must stay; before that it has until `_watcher_due`."""
        if framework.is_watching():
            self._watcher_seen = True
            return None
        if self._watcher_seen or self._clock() > self._watcher_due:
            return "Kopf does not watch ModelDeployments"
        return None

    def _watcher_stuck(self) -> str | None:
        stuck = self._progress.stuck_seconds()
        return f"Kopf has not got past a ModelDeployment for {stuck:.0f} s" if stuck > STALE else None

    def _reflector_stuck(self) -> str | None:
        stuck = [reflector.kind for reflector in self._reflectors if self._clock() - reflector.last_turn > STALE]
        return f"nothing heard of {', '.join(stuck)} for {STALE:.0f} s" if stuck else None

    def _resync_stuck(self) -> str | None:
        silent = self._clock() - self._resync.last_turn > 2 * INTERVAL
        return "ModelDeployments are not listed any more" if silent else None

    def _queue_stuck(self) -> str | None:
        if self._elector.leading.is_set() and self._queue.oldest_age() > STUCK:
            return f"a deployment has waited for {self._queue.oldest_age():.0f} s"
        return None

    def _not_synced(self) -> str | None:
        missing = [reflector.kind for reflector in self._reflectors if not reflector.synced.is_set()]
        if not self._resync.synced.is_set():
            missing.append("ModelDeployment")
        return f"not listed yet: {', '.join(missing)}" if missing else None
