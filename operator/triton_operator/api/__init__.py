"""What users write and read: the ModelDeployment API as types, names, conditions and errors.

Everything here is data and pure functions; it imports nothing else of this project and does no I/O.
"""
