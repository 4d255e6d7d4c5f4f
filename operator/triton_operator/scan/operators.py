"""Operators and classes that TorchScript code can use, as data: torch is not in the image of `prepare`.

`tests/unit/scan/test_operators.py` compares it with the operators of the installed torch.
"""

from __future__ import annotations

from collections.abc import Mapping

DENIED: Mapping[str, str] = {
    "aten::save": "writes a file",
    "aten::from_file": "opens a file on the server",
    "debugprims::load_tensor": "opens a file on the server",
    "inductor::_alloc_from_pool": "reads memory outside of a tensor",
    "inductor::_reinterpret_tensor": "reads memory outside of a tensor",
    "prim::IgnoredPythonOp": "runs Python code",
    "prim::PythonOp": "runs Python code",
    "prim::rpc_async": "connects to other processes",
    "prim::rpc_remote": "connects to other processes",
    "prim::rpc_sync": "connects to other processes",
}
"""Operators of torch that no model needs, and what they do."""

METHODS = frozenset(name.removeprefix("aten::") for name in DENIED if name.startswith("aten::"))
"""Denied operators that code calls without a namespace, such as `torch.save`."""

NETWORK_NAMESPACES = frozenset(
    ["_c10d_functional", "_c10d_functional_autograd", "_dtensor", "c10d", "c10d_functional", "fsdp", "symm_mem"]
)
"""Namespaces of operators that exchange tensors with other processes."""

NETWORK_CLASSES = frozenset(["c10d", "dist_c10d", "dist_rpc"])
"""Namespaces of `torch.classes` that connect to other processes."""

BUILT_IN = NETWORK_NAMESPACES | frozenset(
    [
        "_inductor_test",
        "_native",
        "_native_aot",
        "_quantized",
        "_test",
        "aten",
        "coor",
        "cuda",
        "debug_mode_ops",
        "debugprims",
        "export",
        "flex_gemm",
        "flex_lib",
        "inductor",
        "inductor_prims",
        "mempool",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "onnx",
        "onnx_symbolic",
        "prepacked",
        "prim",
        "prims",
        "profiler",
        "quantization",
        "quantized",
        "rngprims",
        "sparse",
        "static_runtime",
        "streams",
        "xnnpack",
    ]
)
"""Namespaces of torch's own operators; most operators of `aten` are written without a namespace.

The list is from `torch._C._jit_get_all_schemas()` in 2.15, after imports of torch's compilers and exporters, with the
namespaces for mobile devices of 2.5 to 2.14.
"""

HARMLESS_LIBRARIES = frozenset(["torchvision"])
"""Namespaces of other libraries that only compute; torchvision reads and writes files with operators of `image`."""

BUILT_IN_CLASSES = frozenset(
    [
        *("_nnapi", "aten", "backendutils", "c10d", "cuda", "dist_rpc", "mkldnn", "profiler", "profiling"),
        *("quantized", "rnn", "sparse", "xnnpack"),
    ]
)
"""Namespaces of torch's own `torch.classes`; every dynamically quantized LSTM uses `rnn`."""
