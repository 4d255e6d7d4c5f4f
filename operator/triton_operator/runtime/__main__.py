"""`python -m triton_operator.runtime`: the operator."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

import uvloop

from triton_operator.cluster.connect import connect
from triton_operator.cluster.connection import NoConnectionError
from triton_operator.cluster.http import HttpCluster
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.reconcile.certificate_caches import IssuerContext
from triton_operator.reconcile.reconciler import Reconciler
from triton_operator.resources.settings import InvalidSettingsError, Settings, in_cluster, load
from triton_operator.runtime import logs
from triton_operator.runtime.options import Options, parse
from triton_operator.runtime.process import Process
from triton_operator.runtime.workers import Reconcile


async def operate(options: Options, settings: Settings) -> int:
    """Run one operator process in the current event loop; returns the exit status."""
    cache = ObjectCache()

    def build_reconcile(cluster: HttpCluster, issuer: IssuerContext, wake: Callable[[Key], None]) -> Reconcile:
        return Reconciler(cluster, cache, settings, issuer=issuer, wake=wake).reconcile

    return await Process(options, connect(options.kubeconfig), cache, build_reconcile).run()


def main() -> int:
    """Read flags and settings, then run the operator."""
    options = parse(sys.argv[1:])
    logs.configure(options.log_level)
    try:
        return uvloop.run(operate(options, in_cluster(load(options.settings), os.environ)))
    except (NoConnectionError, InvalidSettingsError) as error:
        logging.getLogger(__name__).critical("%s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
