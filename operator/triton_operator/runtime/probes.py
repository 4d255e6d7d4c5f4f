"""The checks of /healthz and /readyz, and the gauges of /metrics, from the state of the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.lease import Elector
from triton_operator.cluster.observed import Key
from triton_operator.runtime import kopf_watch
from triton_operator.runtime.health import Check
from triton_operator.runtime.metrics import Metrics
from triton_operator.runtime.resync import INTERVAL, Resync
from triton_operator.runtime.watch_progress import WatchProgress
from triton_operator.runtime.watches import AnyReflector
from triton_operator.runtime.work_queue import WorkQueue

STALE = 180.0
"""Seconds without activity of a reflector; its silence limit, timeout and longest pause together are less."""
STUCK = 900.0
"""Seconds that a key may wait while this process leads."""
GRACE = 60.0
"""Seconds for Kopf to start its watch."""


class Probes:
    """The state of one process, for probes and metrics."""

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
        """Kopf was started, and must begin to watch within GRACE seconds."""
        self._watcher_seen = False
        self._watcher_due = self._clock() + GRACE

    def watcher_excused(self) -> None:
        """Kopf has ended and is started again later, at the latest when the CRD exists again."""
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
        metrics.gauge("queue_busy", "Deployments that are being reconciled.", lambda: self._queue.busy)
        metrics.gauge("queue_oldest_seconds", "Age of the longest waiting deployment.", self._queue.oldest_age)
        metrics.gauge("leader", "1 while this process leads.", lambda: float(self._elector.may_write()))
        metrics.gauge("model_deployments", "ModelDeployments that exist.", lambda: len(self._deployments.keys()))
        metrics.gauges(
            "watch_idle_seconds",
            "Seconds since the last event or bookmark.",
            "kind",
            {kind: self._idle(kind) for kind in dict.fromkeys(each.kind for each in self._reflectors)},
        )

    def _idle(self, kind: str) -> Callable[[], float]:
        """Of the watches of a kind, the one without news for the longest time."""
        watches = [reflector for reflector in self._reflectors if reflector.kind == kind]
        return lambda: self._clock() - min(reflector.last_event for reflector in watches)

    def _watcher_dead(self) -> str | None:
        """Once it has started, the watch must stay alive; before that, it has until `_watcher_due`."""
        if kopf_watch.is_watching():
            self._watcher_seen = True
            return None
        if self._watcher_seen or self._clock() > self._watcher_due:
            return "the watch of ModelDeployments is not running"
        return None

    def _watcher_stuck(self) -> str | None:
        stuck = self._progress.stuck_seconds()
        return f"the watch of ModelDeployments is stuck at one object for {stuck:.0f} s" if stuck > STALE else None

    def _reflector_stuck(self) -> str | None:
        stuck = [reflector.kind for reflector in self._reflectors if self._clock() - reflector.last_turn > STALE]
        return f"no activity of the watches of {', '.join(stuck)} for {STALE:.0f} s" if stuck else None

    def _resync_stuck(self) -> str | None:
        silent = self._clock() - self._resync.last_turn > 2 * INTERVAL
        return "the resync of ModelDeployments has stopped" if silent else None

    def _queue_stuck(self) -> str | None:
        if self._elector.leading.is_set() and self._queue.oldest_age() > STUCK:
            return f"a deployment has waited for a worker for {self._queue.oldest_age():.0f} s"
        return None

    def _not_synced(self) -> str | None:
        missing = [reflector.kind for reflector in self._reflectors if not reflector.synced.is_set()]
        if not self._resync.synced.is_set():
            missing.append("ModelDeployment")
        return f"not listed yet: {', '.join(missing)}" if missing else None
