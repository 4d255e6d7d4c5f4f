"""Developer tooling, run from the repository's root as `python -m hack.<name>`.

Nothing here is part of the product: no module of `operator/` imports it.
"""
