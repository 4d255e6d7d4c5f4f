"""The root of every exception class of this package.

Input: nothing, and it imports nothing. Output: `TritonOperatorError`, the base of each package's own errors::

    TritonOperatorError
     ├─ sdk.SdkError                   a call of a client failed; `sdk.errors` lists its subclasses
     ├─ export.ExportError             a module cannot be exported or compressed
     ├─ explain.ExplanationError       a prediction cannot be explained
     ├─ local.errors.LocalError        this machine cannot serve a deployment
     ├─ cluster.errors.ClusterError    the API server returned an error
     ├─ api.errors.ApiError            an object is invalid
     └─ …                              errors that one package raises and handles itself

The backend of the CPU server (`cpu_server/backend`) runs inside Triton, where this package is not installed. Its
exceptions therefore derive from `Exception`.
"""

from __future__ import annotations


class TritonOperatorError(Exception):
    """Any error that this package raises on purpose; the message is written for the caller."""
