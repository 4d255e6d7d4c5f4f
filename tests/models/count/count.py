"""A decoupled model of Triton's Python backend: it answers a request as many times as its input says, or none.

TO INT32 [1] in, NUMBER INT32 [1] out, from 0 up. The end-to-end test of the SDK copies it to `count/1/model.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    """One instance of the model, created by Triton."""

    def execute(self, requests: list[Any]) -> None:
        """Send the answers; a request that its caller has given up gets no more."""
        for request in requests:
            sender = request.get_response_sender()
            (end,) = pb.get_input_tensor_by_name(request, "TO").as_numpy()
            for number in range(end):
                if request.is_cancelled():
                    break
                sender.send(pb.InferenceResponse([pb.Tensor("NUMBER", np.array([number], dtype=np.int32))]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
