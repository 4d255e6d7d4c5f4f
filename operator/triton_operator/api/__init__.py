"""The ModelDeployment API: types, names, conditions and errors.

The package contains data and pure functions, and performs no I/O.
"""
