"""What `tritonctl lint` looks for, one subject a module: a model file, its code, a configuration, a folder, an object.

Each check takes what was read and yields Findings; nothing of a model is executed, and torch is not needed.
"""
