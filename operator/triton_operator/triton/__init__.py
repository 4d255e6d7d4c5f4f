"""What Triton expects and says: flags per version, config.pbtxt, prepared models, termination messages.

Pure: text and data in, text and data out. `resources` renders pods with it, `reconcile` reads pods' messages with it,
`prepare` checks and lays out a model repository with it.
"""
