"""Developer tools, run from the repository's root as `python -m hack.<name>`.

They are not part of the product: no module of `operator/` imports them.
"""
