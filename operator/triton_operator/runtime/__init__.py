"""The operator process: watches, work queue, workers, probes and metrics. The only package that imports Kopf."""
