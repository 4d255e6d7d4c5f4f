"""What tensors of models hold: the data types that requests, configurations and signatures name."""

from __future__ import annotations

from enum import StrEnum


class DataType(StrEnum):
    """A data type by Triton's name without `TYPE_`, as the KServe v2 protocol has it but for STRING (there BYTES)."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    STRING = "STRING"
    BF16 = "BF16"
