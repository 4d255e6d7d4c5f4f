"""Triton's interfaces: server flags per release, config.pbtxt, model files and termination messages.

Pure: input and output are text and data. `resources` renders pods with this package, `reconcile` reads the messages of
pods with it, and `prepare` uses it to check and lay out a model repository.
"""
