"""Reads the files of models without running or loading them, and reports what could harm the server.

`prepare` scans what Triton will read, and `tritonctl lint` scans folders. torch is not needed.
"""
